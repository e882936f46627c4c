package snapshot

import "strings"

const (
	longestPrefix = 128
	maxPrefixes   = 10_000
	otherPrefixes = "(others)"
)

// Prefix is what a key is counted under: its first two path segments where they are folders, as in /registry/pods; fewer if
// there are fewer.
func Prefix(key string) string {
	end, folders := 0, 0
	for i := 1; i < len(key) && folders < 2; i++ { // from 1: a leading slash ends no segment
		if key[i] == '/' {
			end = i
			folders++
		}
	}
	return key[:min(end, longestPrefix)]
}

// prefixes counts keys. What comes after maxPrefixes different ones shares a line: keys are a stranger's.
type prefixes map[string]int64

func (p prefixes) see(key []byte) {
	name := Prefix(string(key[:min(len(key), 2*longestPrefix)]))
	if _, known := p[name]; !known {
		name = strings.ToValidUTF8(name, "?")
		if len(p) >= maxPrefixes {
			name = otherPrefixes
		}
	}
	p[name]++
}
