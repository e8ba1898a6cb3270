// Package vector is Gyr's vector engine.
package vector
