package api

import (
	"net/http"
	"slices"
	"strings"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Health answers /healthz: with 200, or with 503 if nothing can be appended.
type Health struct {
	// Status is "ok", "degraded" (it works, and somebody should look), or "failing".
	Status   string   `json:"status"`
	Problems []string `json:"problems"`
}

// HealthOf is what a node's status means.
func HealthOf(st Status) Health {
	h := Health{Status: "ok", Problems: []string{}}
	problem := func(status, text string) {
		h.Problems = append(h.Problems, text)
		if h.Status != "failing" {
			h.Status = status
		}
	}
	if st.State != "ok" && !st.Disabled {
		problem("failing", "the log is not writable: "+st.State)
	}
	if st.SpaceLow {
		problem("degraded", "the disk of the log is nearly full")
	}
	if st.Follow != nil && st.Follow.Error != "" {
		problem("degraded", "following "+st.Follow.Path+" waits: "+st.Follow.Error)
	}
	for dir, why := range st.Damaged {
		problem("degraded", "the copy "+dir+" is damaged: "+why)
	}
	for what, why := range st.Troubles {
		problem("degraded", "the "+what+": "+why)
	}
	for name := range st.Conflicts {
		problem("degraded", "batches contradict the log "+name)
	}
	slices.Sort(h.Problems)
	return h
}

func (s *Server) health(w *answerWriter, r *http.Request) {
	h := HealthOf(s.service.Vitals())
	status := http.StatusOK
	if h.Status == "failing" {
		status = http.StatusServiceUnavailable
	}
	body, err := encoded(h)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	s.send(w, "application/json", status, body)
}

// metrics serves what Status says in Prometheus' format, made when it is asked.
func (s *Server) metrics(w *answerWriter, r *http.Request) {
	st, err := s.service.Status(r.Context(), false)
	if err != nil {
		s.refuse(w, r, err)
		return
	}
	registry := prometheus.NewRegistry()
	registry.MustRegister(collector{st}, collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	promhttp.HandlerFor(registry, promhttp.HandlerOpts{}).ServeHTTP(w, r)
}

// collector makes metrics of one status.
type collector struct{ st Status }

func desc(name, help string, labels ...string) *prometheus.Desc {
	return prometheus.NewDesc("auditmesh_"+name, help, labels, nil)
}

// Describe describes nothing: which metrics there are depends on the node.
func (c collector) Describe(chan<- *prometheus.Desc) {}

// Collect is that of prometheus.Collector.
func (c collector) Collect(out chan<- prometheus.Metric) {
	st := c.st
	gauge := func(name, help string, v float64) {
		out <- prometheus.MustNewConstMetric(desc(name, help), prometheus.GaugeValue, v)
	}
	counter := func(name, help string, v uint64) {
		out <- prometheus.MustNewConstMetric(desc(name, help), prometheus.CounterValue, float64(v))
	}
	gauge("log_writable", "1 if events can be appended.", truth(st.State == "ok"))
	gauge("log_records", "Records of the own log.", float64(st.Size))
	gauge("log_signed_records", "Records of the own log under its last checkpoint.", float64(st.Signed))
	gauge("log_published_records", "Records of the own log that were given to the mesh's topic, or signed before the node joined it.", float64(st.Published))
	counter("log_write_failures_total", "Writes and syncs of the own log that failed since the node started.", st.WriteFailures)
	gauge("disk_free_bytes", "Free on the log's disk, 0 if nobody looks.", float64(st.FreeBytes))
	gauge("disk_floor_bytes", "Configured floor of free space.", float64(st.MinFreeBytes))
	gauge("disk_low", "1 if less is free than the floor.", truth(st.SpaceLow))
	if st.Follow != nil {
		counter("followed_lines_total", "Lines of the followed file that were copied since the node started.", st.Follow.Lines)
		counter("followed_gaps_total", "Gaps in the followed file that were recorded since the node started.", st.Follow.Gaps)
	}
	gauge("peers_connected", "Members of the mesh that are connected.", float64(st.Peers))
	gauge("members", "Members of the mesh.", float64(st.Members))
	counter("view_rebuilds_total", "Times the view was made anew since the node started.", st.Rebuilds)
	gauge("view_unfolded_records", "Records that are durable here and not in the view.", float64(st.Unfolded))
	gauge("damaged_copies", "Copies that cannot be read.", float64(len(st.Damaged)))
	for name, k := range st.Counters {
		out <- prometheus.MustNewConstMetric(desc("mesh_total", "What happened in the mesh since the node started, by kind.", "kind"), prometheus.CounterValue, float64(k), name)
	}
	for name, k := range st.Conflicts {
		node, log, _ := strings.Cut(name, "/")
		out <- prometheus.MustNewConstMetric(desc("conflicts", "Batches that contradict a log, kept as evidence.", "node", "log"), prometheus.GaugeValue, float64(k), node, log)
	}
	for name, h := range st.Vector {
		node, log, _ := strings.Cut(name, "/")
		held := func(metric, help string, v uint64) {
			out <- prometheus.MustNewConstMetric(desc(metric, help, "node", "log"), prometheus.GaugeValue, float64(v), node, log)
		}
		held("held_records", "Records of a log that are durable here.", h.Stored)
		held("held_signed_records", "Of these, under the log's last checkpoint.", h.Signed)
		held("view_records", "Of these, folded into the view.", h.Size)
		held("unreadable_records", "Records of a log that do not decode.", h.Unreadable)
		held("log_held_by", "Other members, the log's own node not counted, that stated to hold all that is signed here.", uint64(h.HeldBy))
		held("log_first_record", "The first record of a log that is held here.", h.First)
		held("log_missing_records", "Records beyond those held that no member offers any more.", h.Missing)
		held("log_clock_ahead_milliseconds", "How far the greatest time in a log is ahead of this node's clock, 0 up to a day.", h.AheadMS)
		held("log_clock_behind_milliseconds", "How long before it came here the last record of a log was made, 0 up to a day.", h.BehindMS)
		held("view_lag_records", "Records that are known of and not in the view.", h.LagRecords)
		held("view_lag_milliseconds", "How long before now the last record in the view was made, while others are not in it.", h.LagMS)
	}
}

func truth(b bool) float64 {
	if b {
		return 1
	}
	return 0
}
