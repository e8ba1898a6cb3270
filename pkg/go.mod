module github.com/gyr-db/gyr/pkg

go 1.26.0

require (
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/grpc v1.85.0
)

require (
	github.com/tidwall/gjson v1.20.1 // indirect
	github.com/tidwall/match v1.1.1 // indirect
	github.com/tidwall/pretty v1.2.0 // indirect
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b // indirect
)

require google.golang.org/protobuf v1.36.12

replace github.com/gyr-db/gyr/pkg/vector => ./vector
