module github.com/gyr-db/gyr/pkg/vector

go 1.26.0
