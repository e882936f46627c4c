package s3

import (
	"context"
	"encoding/json"
	"slices"

	"github.com/aws/aws-sdk-go-v2/aws"
	"github.com/aws/aws-sdk-go-v2/service/s3"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// publicity asks whether everybody is let in. AWS judges its policies itself, and knows networks and conditions; other stores call
// only some of what is open public, so their policies are read as well.
func (e *examination) publicity(ctx context.Context, op *operation) []sinks.Finding {
	const name = "public access"
	out, err := e.client.GetBucketPolicyStatus(ctx, &s3.GetBucketPolicyStatusInput{Bucket: &e.o.Bucket}, op.attempt().option)
	switch {
	case code(err) == "NoSuchBucketPolicy":
		return fine(name, "the bucket has no policy that could give any")
	case err != nil:
		return untold(op, "s3:GetBucketPolicyStatus", err, name)
	case out.PolicyStatus != nil && aws.ToBool(out.PolicyStatus.IsPublic), !e.onAWS() && e.admitsAll(ctx, op):
		return advice(name, "the bucket's policy lets everybody in: take that away")
	}
	return fine(name, "the bucket's policy gives none")
}

// admitsAll tells whether the bucket's policy allows something to everybody, on no condition. What cannot be read does not.
func (e *examination) admitsAll(ctx context.Context, op *operation) bool {
	out, err := e.client.GetBucketPolicy(ctx, &s3.GetBucketPolicyInput{Bucket: &e.o.Bucket}, op.attempt().option)
	if err != nil {
		return false
	}
	var policy struct {
		Statement []struct {
			Effect               string
			Principal, Condition json.RawMessage
		}
	}
	if json.Unmarshal([]byte(aws.ToString(out.Policy)), &policy) != nil {
		return false
	}
	for _, s := range policy.Statement {
		var who struct{ AWS any }
		_ = json.Unmarshal(s.Principal, &who) // a plain string is looked at below
		names, _ := who.AWS.([]any)
		everybody := string(s.Principal) == `"*"` || who.AWS == "*" || slices.Contains(names, any("*"))
		if s.Effect == "Allow" && everybody && len(s.Condition) == 0 {
			return true
		}
	}
	return false
}
