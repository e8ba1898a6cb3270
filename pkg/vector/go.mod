module github.com/gyr-db/gyr/pkg/vector

go 1.26.0

require golang.org/x/sys v0.49.0
