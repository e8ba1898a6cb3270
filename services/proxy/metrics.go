package proxy

import (
	"strconv"
	"time"

	"github.com/milvus-io/milvus-proto/go-api/v3/commonpb"
	"github.com/prometheus/client_golang/prometheus"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"
)

type metrics struct {
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	reruns   *prometheus.CounterVec
	barriers prometheus.Counter
}

func newMetrics(r prometheus.Registerer) *metrics {
	m := &metrics{
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gyr_proxy_requests_total",
			Help: "Public requests by method and the code of their Status (grpc: answered with a gRPC error).",
		}, []string{"method", "code"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "gyr_proxy_request_seconds",
			Help: "Time of public requests.", Buckets: prometheus.ExponentialBuckets(0.0005, 2, 17),
		}, []string{"method"}),
		reruns: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gyr_proxy_reruns_total",
			Help: "Reads and writes that were sent again, by what was wrong.",
		}, []string{"kind", "code"}),
		barriers: prometheus.NewCounter(prometheus.CounterOpts{Name: "gyr_proxy_barriers_total", Help: "Barriers asked of log owners."}),
	}
	if r != nil {
		r.MustRegister(m.requests, m.seconds, m.reruns, m.barriers)
	}
	return m
}

func (m *metrics) observe(method string, resp proto.Message, err error, took time.Duration) {
	code := "0"
	if err != nil {
		code = "grpc-" + status.Code(err).String()
	} else if st := statusIn(resp); st != nil {
		code = strconv.Itoa(int(st.Code))
	}
	m.requests.WithLabelValues(method, code).Inc()
	m.seconds.WithLabelValues(method).Observe(took.Seconds())
}

// statusIn returns the Status that a response is or carries.
func statusIn(resp proto.Message) *commonpb.Status {
	switch r := resp.(type) {
	case *commonpb.Status:
		return r
	case interface{ GetStatus() *commonpb.Status }:
		return r.GetStatus()
	}
	return nil
}
