package main

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"
)

const timeoutFlag = "timeout"

// timedOut is the cause of a context that --timeout ended.
type timedOut struct{ after time.Duration }

func (t timedOut) Error() string { return fmt.Sprintf("--timeout %s passed", t.after) }
func (t timedOut) Hint() string {
	return "a stalled transfer is given up without it; give a longer --timeout, or none"
}

// bound ends the command's context after --timeout, where it has that flag and it is not 0.
func bound(cmd *cobra.Command) (stop func(), err error) {
	limit, err := cmd.Flags().GetDuration(timeoutFlag)
	switch {
	case err != nil || limit == 0: // a command without the flag
		return func() {}, nil
	case limit < 0:
		return nil, &usageError{fmt.Sprintf("--timeout %s is negative", limit), "use a duration such as 30m"}
	}
	ctx, cancel := context.WithTimeoutCause(cmd.Context(), limit, timedOut{limit})
	cmd.SetContext(ctx)
	return cancel, nil
}
