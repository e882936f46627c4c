package main

import (
	"testing"

	"github.com/lifeboat-dr/lifeboat/e2e/lab"
)

func TestMain(m *testing.M) { lab.Main(m, roles()) }
