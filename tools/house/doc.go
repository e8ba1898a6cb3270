// Package house holds the rules of the house as tests: who may import whom, what builds on its own, what no file may say.
// Each failure names the remedy. Run them by `make lint` or:
//
//	cd tools && GOWORK=off go test ./house
package house
