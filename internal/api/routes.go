package api

import (
	"log/slog"
	"net/http"
)

// pool is a set of slots that requests take while they are answered. Each kind
// of request has its own, so that no kind keeps another waiting: above all no
// number of readers keeps an append from being taken.
type pool int

const (
	probes    pool = iota // what watches the node: answered from memory
	questions             // answered at once, from the view or the logs
	streams               // last as long as their clients, as followers do
	writes                // appends, and what becomes one
	pools
)

// slotsOf is how many requests of a pool are answered at one time.
func slotsOf(p pool) int {
	if p == probes {
		return 64
	}
	return 256
}

// route is one endpoint. The table of them makes the mux.
type route struct {
	pattern string
	pool    pool
	serve   func(w *answerWriter, r *http.Request)
}

func (s *Server) routes() []route {
	return []route{
		{"GET /healthz", probes, s.health},
		{"GET /metrics", probes, s.metrics},
		{"GET /v1/identity", probes, s.answer(func(*http.Request) (any, error) { return s.service.Identity(), nil })},
		{"GET /v1/status", probes, s.answer(func(r *http.Request) (any, error) { return s.service.Status(r.Context(), isDeep(r)) })},
		{"GET /v1/peers", questions, s.answer(func(*http.Request) (any, error) { return s.service.Peers(), nil })},
		{"GET /v1/tasks", questions, s.answer(s.tasks)},
		{"GET /v1/tasks/{id}", questions, s.answer(s.task)},
		{"GET /v1/proof", questions, s.text(s.prove)},
		{"GET /v1/checkpoint", questions, s.text(s.checkpoint)},
		{"POST /v1/consistency", questions, s.text(s.extends)},
		{"GET /v1/changes", streams, s.changes},
		{"GET /v1/log", streams, s.log},
		{"GET /v1/raw", streams, s.raw},
		{"POST /v1/events", writes, s.events},
		{"POST /v1/review", writes, s.answer(s.review)},
		{"POST /v1/remove", writes, s.answer(s.remove)},
	}
}

func (s *Server) handler() http.Handler {
	mux := http.NewServeMux()
	for _, r := range s.routes() {
		mux.HandleFunc(r.pattern, s.admit(r))
	}
	return mux
}

// admit answers a request in a slot of its pool, or refuses it where all are
// taken. Run waits for whoever was admitted.
func (s *Server) admit(to route) http.HandlerFunc {
	return func(plain http.ResponseWriter, r *http.Request) {
		w := s.writerOf(plain)
		if !s.answering.TryRLock() {
			s.fail(w, stopping(), http.StatusServiceUnavailable)
			return
		}
		defer s.answering.RUnlock()
		slots := s.slots[to.pool]
		if isDeep(r) {
			slots = s.slots[questions]
		}
		select {
		case slots <- struct{}{}:
			defer func() { <-slots }()
		default:
			s.fail(w, &Refusal{Code: "overloaded", Message: "too many requests of this kind at one time; try again"}, http.StatusTooManyRequests)
			return
		}
		if r.Method == http.MethodGet && r.ContentLength != 0 {
			// While a body is unread net/http does not see that its client leaves.
			s.refuse(w, r, &Refusal{Code: "bad_request", Message: "a question has no body"})
			return
		}
		to.serve(w, r)
		if err := w.extend(); err != nil { // for what is written after this returns
			s.logger.Debug("no further deadline for an answer", slog.Any("error", err))
		}
	}
}

// isDeep says whether a status is asked for that goes through the whole view.
func isDeep(r *http.Request) bool {
	return r.URL.Path == "/v1/status" && r.URL.Query().Get("deep") == "true"
}

func stopping() *Refusal {
	return &Refusal{Code: "stopping", Message: "the node stops: ask again once it runs"}
}
