package s3

import (
	"errors"
	"regexp"

	"github.com/aws/smithy-go"
)

// named finds the permission in what AWS says, and where it is needed: that may be a key of KMS, which nothing here knows of.
var named = regexp.MustCompile(`not authorized to perform: ([A-Za-z0-9-]+:[A-Za-z0-9]+)(?: on resource: "?([^" ]+)"?)?`)

// needs names the permission that a refused request takes: the store's own words where it has any, else what AWS's
// documentation says of the request.
func (op *operation) needs(err error) string {
	var answer smithy.APIError
	if errors.As(err, &answer) {
		if found := named.FindStringSubmatch(answer.ErrorMessage()); found != nil && found[2] != "" {
			return found[1] + " on " + found[2]
		} else if found != nil {
			return found[1]
		}
	}
	bucket := "arn:aws:s3:::" + op.s.o.Bucket
	objects := bucket + "/" + op.s.prefix + "*"
	var request *smithy.OperationError
	if errors.As(err, &request) {
		switch request.OperationName {
		case "PutObject", "CreateMultipartUpload", "UploadPart", "CompleteMultipartUpload":
			return op.needsToPut() + " on " + objects
		case "AbortMultipartUpload":
			return "s3:AbortMultipartUpload on " + objects
		case "ListMultipartUploads":
			return "s3:ListBucketMultipartUploads on " + bucket
		case "ListObjectsV2":
			return "s3:ListBucket on " + bucket
		}
	}
	if op.name == "delete" {
		return "s3:GetObject (to see which version is there), s3:DeleteObject and, where the bucket has versions, s3:DeleteObjectVersion on " + objects
	}
	return "s3:GetObject on " + objects + ", and s3:ListBucket to be told of missing objects"
}

func (op *operation) needsToPut() string {
	if op.s.o.LockMode != "" {
		return "s3:PutObject, s3:PutObjectRetention and s3:AbortMultipartUpload"
	}
	return "s3:PutObject and s3:AbortMultipartUpload"
}
