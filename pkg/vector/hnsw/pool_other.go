//go:build !amd64 || purego

package hnsw

import "github.com/gyr-db/gyr/pkg/vector/kernel"

func canInsertWide(kernel.Set) bool { return false }

func insertWide(*uint64, int, uint64) int { panic("no wide insertion on this machine") }
