//go:build !linux

// Package holder finds the process that works on a data directory of etcd. On this system it cannot.
package holder

import "os"

// Of does not know here.
func Of(string) string { return "" }

// LockShared does not know here.
func LockShared(*os.File) bool { return true }
