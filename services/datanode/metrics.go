package datanode

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/gyr-db/gyr/pkg/wal"
)

// metrics of a datanode; names are listed in docs/ops/metrics.md.
type metrics struct {
	appendSeconds, uploadSeconds   prometheus.Histogram
	groupRecords                   prometheus.Histogram
	appendedBytes, uploadedBytes   prometheus.Counter
	resent, fences, uploadFailures prometheus.Counter
	seals                          *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer, n *Node) *metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "gyr_datanode_" + name, Help: help})
	}
	histogram := func(name, help string, start, factor float64, count int) prometheus.Histogram {
		return prometheus.NewHistogram(prometheus.HistogramOpts{Name: "gyr_datanode_" + name, Help: help, Buckets: prometheus.ExponentialBuckets(start, factor, count)})
	}
	m := &metrics{
		appendSeconds:  histogram("append_seconds", "Time until a group of records was durable and accepted.", 0.0001, 2, 18),
		groupRecords:   histogram("group_records", "Records of a log entry.", 1, 2, 13),
		uploadSeconds:  histogram("upload_seconds", "Time to write and commit a seal.", 0.005, 2, 16),
		appendedBytes:  counter("appended_bytes_total", "Bytes of acknowledged log entries."),
		uploadedBytes:  counter("uploaded_bytes_total", "Bytes of segment and delta files written."),
		resent:         counter("resent_total", "Log entries sent again because an outcome was unknown."),
		fences:         counter("fences_total", "Logs taken over."),
		uploadFailures: counter("upload_failures_total", "Failed attempts to write and commit a seal."),
		seals:          prometheus.NewCounterVec(prometheus.CounterOpts{Name: "gyr_datanode_seals_total", Help: "Seal records, by reason."}, []string{"reason"}),
	}
	if reg == nil {
		return m
	}
	reg.MustRegister(m.appendSeconds, m.groupRecords, m.uploadSeconds, m.appendedBytes, m.uploadedBytes, m.resent, m.fences, m.uploadFailures, m.seals,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gyr_datanode_unsealed_bytes", Help: "Memory of rows and deletes that are not in the bucket."},
			func() float64 { return float64(n.unsealed.Load()) }),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "gyr_datanode_logs", Help: "Logs that this node owns."},
			func() float64 { return float64(len(n.owners())) }))
	return m
}

// group implements wal.Deps.Observe.
func (m *metrics) group(g wal.GroupStats) {
	m.appendSeconds.Observe(g.Append.Seconds())
	m.groupRecords.Observe(float64(g.Records))
	m.appendedBytes.Add(float64(g.Bytes))
	m.resent.Add(float64(g.Resent))
}
