package rehearsal

import (
	"errors"
	"fmt"

	"github.com/lifeboat-dr/lifeboat/internal/throwaway"
)

// failure is an answer the rehearsal did not want to hear: the backup could be tested and did not pass. Every other error
// means that it could not be tested.
type failure struct{ detail string }

func (f *failure) Error() string { return f.detail }

func failed(format string, args ...any) error { return &failure{fmt.Sprintf(format, args...)} }

// isFailure tells a failed test from an impossible one. A member that does not serve is a failed test.
func isFailure(err error) bool {
	var (
		f    *failure
		down *throwaway.DownError
	)
	return errors.As(err, &f) || errors.As(err, &down)
}
