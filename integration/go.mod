module github.com/gyr-db/gyr/integration

go 1.26.0

require (
	github.com/anishathalye/porcupine v1.3.1
	github.com/gyr-db/gyr/pkg v0.0.0
	github.com/klauspost/compress v1.18.0
	github.com/milvus-io/milvus-proto/go-api/v3 v3.0.0-20260526093827-489331a5a41f
	golang.org/x/sys v0.49.0 // indirect
	google.golang.org/grpc v1.85.0
)

require (
	golang.org/x/net v0.61.0 // indirect
	golang.org/x/text v0.43.0 // indirect
	google.golang.org/genproto/googleapis/rpc v0.0.0-20261019180522-ce908d29299b // indirect
)

require google.golang.org/protobuf v1.36.12

require github.com/gyr-db/gyr/pkg/vector v0.0.0

replace (
	github.com/gyr-db/gyr/pkg => ../pkg
	github.com/gyr-db/gyr/pkg/vector => ../pkg/vector
	github.com/gyr-db/gyr/services => ../services
)
