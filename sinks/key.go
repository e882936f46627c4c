package sinks

import (
	"io/fs"
	"strconv"
	"strings"
	"unicode/utf8"
)

// MaxKey is the length of the longest key, in bytes. S3 and GCS stop at 1,024, of which a sink's own prefix takes up to [MaxPrefix].
const MaxKey = 768

// MaxPrefix is the length of the longest prefix a sink may put before every key, in bytes.
const MaxPrefix = 255

// Reserved begins the names which a provider may use for things of its own; no segment of a key begins with it.
const Reserved = ".lifeboat-"

// CheckKey says what is wrong with a key, as an error matching fs.ErrInvalid. A key is made of segments with one
// slash between them, so that it means the same to an object store and to a directory.
func CheckKey(key string) error {
	switch {
	case key == "":
		return Because("the key is empty", fs.ErrInvalid)
	case len(key) > MaxKey:
		return Because("the key is longer than "+strconv.Itoa(MaxKey)+" bytes", fs.ErrInvalid)
	}
	if err := checkText(key); err != nil {
		return err
	}
	for segment := range strings.SplitSeq(key, "/") {
		switch {
		case segment == "":
			return Because("the key has an empty segment", fs.ErrInvalid)
		case segment == "." || segment == "..":
			return Because("the key has a segment "+strconv.Quote(segment), fs.ErrInvalid)
		case len(segment) > 255:
			return Because("the key has a segment longer than 255 bytes", fs.ErrInvalid)
		case strings.HasPrefix(segment, Reserved):
			return Because("the key has a segment beginning with "+strconv.Quote(Reserved), fs.ErrInvalid)
		}
	}
	return nil
}

// CheckPrefix says what is wrong with the prefix of a listing: it must be the beginning of a possible key.
func CheckPrefix(prefix string) error {
	if prefix == "" || CheckKey(prefix) == nil {
		return nil
	}
	// It may stop after a slash or inside a segment: "a/." is no key, but "a/.b" is.
	return CheckKey(prefix + "x")
}

// checkText refuses what file systems, XML listings or shells would garble.
func checkText(key string) error {
	if !utf8.ValidString(key) {
		return Because("the key is not valid UTF-8", fs.ErrInvalid)
	}
	for _, r := range key {
		if r < 0x20 || r == 0x7f || r == '\\' {
			return Because("the key has the character "+strconv.QuoteRune(r), fs.ErrInvalid)
		}
	}
	return nil
}
