package restore

import (
	"errors"
	"fmt"
)

// ErrUsage is matched by what was asked for in a way that cannot be done, whatever the state of the world: exit code 2.
var ErrUsage = errors.New("wrong usage of restore")

// A UsageError is a mistake in what was asked for, and what to write instead.
type UsageError struct{ Reason, Advice string }

func (e *UsageError) Error() string { return e.Reason }

// Hint tells what to write instead.
func (e *UsageError) Hint() string { return e.Advice }

// Is makes every UsageError match ErrUsage.
func (e *UsageError) Is(target error) bool { return target == ErrUsage }

// A Refusal is a restore that could be done and should not be: exit code 9. Nothing was fetched or created. Err is another
// condition it matches, such as catalog.ErrNotAuthentic; it may be nil.
type Refusal struct {
	What     string // what would be done, and why it is not
	Safe     string // what to do instead
	Override string // the flag that does it all the same; "" where there is none
	Err      error
}

func (e *Refusal) Error() string { return e.What }

// Hint tells the safe way, and the override where there is one.
func (e *Refusal) Hint() string {
	if e.Override == "" {
		return e.Safe
	}
	return fmt.Sprintf("%s; to go on all the same, give %s", e.Safe, e.Override)
}

func (e *Refusal) Unwrap() error { return e.Err }
