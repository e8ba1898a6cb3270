// Package sdkgo holds programs that run the Go SDK against Gyr. The address is in GYR_URI, that of a second proxy of the same
// cluster, where there is one, in GYR_URI2. integration/sdk/sdk_test.go starts a server and runs them.
package sdkgo
