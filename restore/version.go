package restore

import (
	"fmt"
	"strconv"
	"strings"
)

// minorVersion reads 3.6, v3.6 or 3.6.5 as {3, 6}: what decides over the format of the storage.
func minorVersion(s string) (v [2]int, err error) {
	parts := strings.Split(strings.TrimPrefix(s, "v"), ".")
	if len(parts) < 2 || len(parts) > 3 {
		return v, fmt.Errorf("%q is not a version", s)
	}
	for i := range v {
		if v[i], err = strconv.Atoi(parts[i]); err != nil || v[i] < 0 {
			return v, fmt.Errorf("%q is not a version", s)
		}
	}
	return v, nil
}

// newer reports whether a server of version target cannot read a storage of version stored. What cannot be read as a version
// is not newer.
func newer(stored, target string) bool {
	s, err1 := minorVersion(stored)
	t, err2 := minorVersion(target)
	if err1 != nil || err2 != nil {
		return false
	}
	return s[0] > t[0] || s[0] == t[0] && s[1] > t[1]
}
