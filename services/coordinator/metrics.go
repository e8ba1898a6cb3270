package coordinator

import "github.com/prometheus/client_golang/prometheus"

// metrics are what a coordinator counts.
type metrics struct {
	leader     prometheus.Gauge
	timestamps prometheus.Counter
	ddl        *prometheus.CounterVec
	views      prometheus.Counter
	waiting    prometheus.Gauge
	tasks      *prometheus.GaugeVec
	taskEnds   *prometheus.CounterVec
	collected  prometheus.Counter
	copies     *prometheus.CounterVec
}

func newMetrics(reg prometheus.Registerer) *metrics {
	m := &metrics{
		leader: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gyr_coordinator_leader",
			Help: "1 while this process leads.",
		}),
		timestamps: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gyr_coordinator_timestamps_total",
			Help: "Timestamps handed out.",
		}),
		ddl: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gyr_coordinator_catalog_changes_total",
			Help: "Changes of the catalog by call and outcome.",
		}, []string{"call", "outcome"}),
		views: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gyr_coordinator_views_published_total",
			Help: "Views published.",
		}),
		waiting: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "gyr_coordinator_views_in_preparation",
			Help: "Views that querynodes are being made ready for.",
		}),
		tasks: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "gyr_coordinator_tasks",
			Help: "Open tasks by kind and state.",
		}, []string{"kind", "state"}),
		taskEnds: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "gyr_coordinator_task_ends_total",
			Help: "Task attempts by kind and outcome.",
		}, []string{"kind", "outcome"}),
		collected: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "gyr_coordinator_objects_removed_total",
			Help: "Objects removed because nothing names them.",
		}),
	}
	m.copies = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "gyr_coordinator_catalog_copies_total",
		Help: "Copies of the catalog to object storage by outcome.",
	}, []string{"outcome"})
	if reg != nil {
		reg.MustRegister(m.leader, m.timestamps, m.ddl, m.views, m.waiting, m.tasks, m.taskEnds, m.collected, m.copies)
	}
	return m
}
