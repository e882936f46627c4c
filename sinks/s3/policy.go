package s3

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/lifeboat-dr/lifeboat/sinks"
)

// An iamPolicy is a policy document as AWS IAM and the stores like it read it.
type iamPolicy struct {
	Version   string         `json:"Version"`
	Statement []iamStatement `json:"Statement"`
}

type iamStatement struct {
	Sid       string                    `json:"Sid"`
	Effect    string                    `json:"Effect"`
	Action    []string                  `json:"Action"`
	Resource  string                    `json:"Resource"`
	Condition map[string]map[string]any `json:"Condition,omitempty"`
}

// Policy implements [sinks.Restricted]: an IAM policy for the bucket and the prefix of this sink.
//
// On AWS a writer is held to creating: PutObject and CompleteMultipartUpload only with If-None-Match, which the parts of an upload
// do not carry. Other stores do not know that condition; there a writer can overwrite, which versioning keeps from destroying.
func (s *Sink) Policy(role sinks.Role) string {
	p := iamPolicy{Version: "2012-10-17"}
	switch role {
	case sinks.Writer:
		p.Statement = append(s.creating(), s.objects("ReadBack", "s3:GetObject"), s.objects("GiveUpUploads", "s3:AbortMultipartUpload"),
			s.listing("s3:ListBucket"), s.bucket("FindUnfinishedUploads", "s3:ListBucketMultipartUploads"))
		if s.o.KMSKey != "" {
			p.Statement = append(p.Statement, s.sealing("kms:GenerateDataKey", "kms:Decrypt"))
		}
		if s.o.LockMode != "" {
			p.Statement = append(p.Statement, s.objects("Lock", "s3:PutObjectRetention"))
		}
	case sinks.Pruner:
		p.Statement = []iamStatement{
			s.objects("Read", "s3:GetObject", "s3:GetObjectVersion"),
			s.objects("Remove", "s3:DeleteObject", "s3:DeleteObjectVersion"),
			s.objects("GiveUpUploads", "s3:AbortMultipartUpload"),
			s.listing("s3:ListBucket", "s3:ListBucketVersions"),
			s.bucket("FindUnfinishedUploads", "s3:ListBucketMultipartUploads"),
			s.bucket("LookAtSettings", "s3:GetBucketVersioning", "s3:GetBucketObjectLockConfiguration", "s3:GetLifecycleConfiguration",
				"s3:GetEncryptionConfiguration", "s3:GetBucketPolicyStatus"),
		}
	case sinks.Restorer:
		p.Statement = []iamStatement{
			s.objects("Read", "s3:GetObject", "s3:GetObjectVersion"),
			s.listing("s3:ListBucket", "s3:ListBucketVersions"),
		}
	}
	if role != sinks.Writer && s.o.KMSKey != "" {
		p.Statement = append(p.Statement, s.sealing("kms:Decrypt"))
	}
	var text bytes.Buffer
	e := json.NewEncoder(&text)
	e.SetIndent("", "  ")
	e.SetEscapeHTML(false)
	_ = e.Encode(p) // strings, to memory: never fails
	return text.String()
}

// creating lets a writer put what is not there yet.
func (s *Sink) creating() []iamStatement {
	if !s.onAWS() {
		return []iamStatement{s.objects("Create", "s3:PutObject")}
	}
	whole, parts := s.objects("Create", "s3:PutObject"), s.objects("SendParts", "s3:PutObject")
	whole.Condition = map[string]map[string]any{"Null": {"s3:if-none-match": "false"}}
	parts.Condition = map[string]map[string]any{"Bool": {"s3:ObjectCreationOperation": "false"}}
	return []iamStatement{whole, parts}
}

// sealing lets a credential use the key of the store's own encryption. An id that is no ARN is one of this account and region.
func (s *Sink) sealing(actions ...string) iamStatement {
	key := s.o.KMSKey
	if !strings.HasPrefix(key, "arn:") {
		key = "arn:" + s.partition() + ":kms:*:*:key/" + key
	}
	return iamStatement{Sid: "UseKey", Effect: "Allow", Action: actions, Resource: key}
}

// onAWS tells whether the store is Amazon's own.
func (s *Sink) onAWS() bool {
	return s.client.Options().BaseEndpoint == nil || strings.Contains(*s.client.Options().BaseEndpoint, ".amazonaws.com")
}

// arn begins the name of every resource.
func (s *Sink) arn() string { return "arn:" + s.partition() + ":s3:::" + s.o.Bucket }

// partition is AWS's name for the part of the world: China and GovCloud have ones of their own.
func (s *Sink) partition() string {
	switch region := s.client.Options().Region; {
	case strings.HasPrefix(region, "cn-"):
		return "aws-cn"
	case strings.HasPrefix(region, "us-gov-"):
		return "aws-us-gov"
	}
	return "aws"
}

func (s *Sink) objects(sid string, actions ...string) iamStatement {
	return iamStatement{Sid: sid, Effect: "Allow", Action: actions, Resource: s.arn() + "/" + s.prefix + "*"}
}

func (s *Sink) bucket(sid string, actions ...string) iamStatement {
	return iamStatement{Sid: sid, Effect: "Allow", Action: actions, Resource: s.arn()}
}

// listing lets what is below the prefix be listed. AWS also asks for it before it says that an object is not there, and then there
// is no prefix to compare: without "IfExists", a missing object would be a forbidden one.
func (s *Sink) listing(actions ...string) iamStatement {
	st := s.bucket("List", actions...)
	compare := "StringLike"
	if s.onAWS() {
		compare = "StringLikeIfExists"
	}
	if s.prefix != "" {
		st.Condition = map[string]map[string]any{compare: {"s3:prefix": s.prefix + "*"}}
	}
	return st
}
