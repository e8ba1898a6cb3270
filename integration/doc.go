// Package integration holds tests that run Gyr as a user would.
package integration
