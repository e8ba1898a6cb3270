package kafka

import (
	"fmt"
	"sync"

	"github.com/segmentio/kafka-go/protocol"
)

// The DeleteRecords call of the Kafka protocol (API key 21), which the client library lacks. Versions 0 and 1 are
// alike; brokers of this decade know both.
type deleteRecordsRequest struct {
	Topics    []deleteRecordsTopic `kafka:"min=v0,max=v1"`
	TimeoutMs int32                `kafka:"min=v0,max=v1"`
}

type deleteRecordsTopic struct {
	Name       string                   `kafka:"min=v0,max=v1"`
	Partitions []deleteRecordsPartition `kafka:"min=v0,max=v1"`
}

type deleteRecordsPartition struct {
	Partition int32 `kafka:"min=v0,max=v1"`
	Offset    int64 `kafka:"min=v0,max=v1"`
}

type deleteRecordsResponse struct {
	ThrottleTimeMs int32                        `kafka:"min=v0,max=v1"`
	Topics         []deleteRecordsResponseTopic `kafka:"min=v0,max=v1"`
}

type deleteRecordsResponseTopic struct {
	Name       string                           `kafka:"min=v0,max=v1"`
	Partitions []deleteRecordsResponsePartition `kafka:"min=v0,max=v1"`
}

type deleteRecordsResponsePartition struct {
	Partition    int32 `kafka:"min=v0,max=v1"`
	LowWatermark int64 `kafka:"min=v0,max=v1"`
	ErrorCode    int16 `kafka:"min=v0,max=v1"`
}

func (r *deleteRecordsRequest) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

func (r *deleteRecordsResponse) ApiKey() protocol.ApiKey { return protocol.DeleteRecords }

// Broker sends the request to the leader of its partition.
func (r *deleteRecordsRequest) Broker(cluster protocol.Cluster) (protocol.Broker, error) {
	t := r.Topics[0]
	partition, ok := cluster.Topics[t.Name].Partitions[t.Partitions[0].Partition]
	if !ok {
		return protocol.Broker{ID: -1}, fmt.Errorf("%w: topic %s", errNoRoute, t.Name)
	}
	leader, ok := cluster.Brokers[partition.Leader]
	if !ok {
		return protocol.Broker{ID: -1}, fmt.Errorf("%w: topic %s has no leader", errNoRoute, t.Name)
	}
	return leader, nil
}

// registerDeleteRecords makes the call known to the client library, whose table of messages is the process's.
var registerDeleteRecords = sync.OnceFunc(func() {
	protocol.Register(&deleteRecordsRequest{}, &deleteRecordsResponse{})
})
