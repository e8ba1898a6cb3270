// Package services groups Gyr's roles.
package services
