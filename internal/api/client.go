package api

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"net"
	"net/http"
	"net/url"
	"syscall"

	"auditmesh/mirror"
)

// ErrNoNode means that no node runs in the data directory.
var ErrNoNode = errors.New("no node runs in this data directory")

// SocketName is the node's socket in its data directory.
const SocketName = "api.sock"

// Client asks the node whose socket is at a path.
type Client struct{ http *http.Client }

// NewClient asks the node at the unix socket path. It does not connect yet.
func NewClient(path string) *Client {
	return &Client{&http.Client{Transport: &http.Transport{
		DialContext: func(ctx context.Context, _, _ string) (net.Conn, error) { return Dial(ctx, path) },
	}}}
}

func (c *Client) do(ctx context.Context, method, path string, q url.Values, body io.Reader) (io.ReadCloser, error) {
	u := "http://node" + path
	if len(q) > 0 {
		u += "?" + q.Encode()
	}
	req, err := http.NewRequestWithContext(ctx, method, u, body)
	if err != nil {
		return nil, err
	}
	resp, err := c.http.Do(req)
	if err != nil {
		if errors.Is(err, syscall.ECONNREFUSED) || errors.Is(err, fs.ErrNotExist) {
			return nil, ErrNoNode
		}
		return nil, err
	}
	if resp.StatusCode == http.StatusOK {
		return resp.Body, nil
	}
	defer resp.Body.Close()
	r := new(Refusal)
	if err := json.NewDecoder(io.LimitReader(resp.Body, 1<<20)).Decode(r); err != nil {
		return nil, fmt.Errorf("the node answered %s", resp.Status)
	}
	return nil, standing(r)
}

func (c *Client) get(ctx context.Context, path string, q url.Values, into any) error {
	body, err := c.do(ctx, http.MethodGet, path, q, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	return broken(json.NewDecoder(body).Decode(into))
}

// Identity is who the node is.
func (c *Client) Identity(ctx context.Context) (id Identity, err error) {
	return id, c.get(ctx, "/v1/identity", nil, &id)
}

// Status is the node's status; deep goes through its whole view.
func (c *Client) Status(ctx context.Context, deep bool) (st Status, err error) {
	q := url.Values{}
	if deep {
		q.Set("deep", "true")
	}
	return st, c.get(ctx, "/v1/status", q, &st)
}

// Peers are the members of the mesh.
func (c *Client) Peers(ctx context.Context) (list []Peer, err error) {
	return list, c.get(ctx, "/v1/peers", nil, &list)
}

// Tasks is a page of tasks.
func (c *Client) Tasks(ctx context.Context, t mirror.TaskQuery) (page TaskPage, err error) {
	return page, c.get(ctx, "/v1/tasks", taskValues(t), &page)
}

// Task finds the tasks whose request id begins with prefix.
func (c *Client) Task(ctx context.Context, prefix string) (items []Task, err error) {
	return items, c.get(ctx, "/v1/tasks/"+url.PathEscape(prefix), nil, &items)
}

// Log calls emit for each record of an answer, until it ends or emit fails. One
// that follows ends only with ctx, and then without an error.
func (c *Client) Log(ctx context.Context, l LogQuery, emit func(LogLine) error) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/log", logValues(l), nil)
	if err != nil {
		return unlessLeft(ctx, l.Follow, err)
	}
	defer body.Close()
	return each(ctx, body, l.Follow, emit)
}

// Changes calls begun once no change will be left out any more, and then emit for
// each, until ctx ends; then it returns nil.
func (c *Client) Changes(ctx context.Context, f mirror.Filter, begun func() error, emit func(Change) error) error {
	q := taskValues(mirror.TaskQuery{Filter: f})
	q.Del("limit")
	body, err := c.do(ctx, http.MethodGet, "/v1/changes", q, nil)
	if err != nil {
		return unlessLeft(ctx, true, err)
	}
	defer body.Close()
	if err := begun(); err != nil {
		return err
	}
	return each(ctx, body, true, emit)
}

// unlessLeft is an error of an answer, unless the answer had no end but that its
// client leaves, which it did.
func unlessLeft(ctx context.Context, endless bool, err error) error {
	if endless && ctx.Err() != nil {
		return nil //nolint:nilerr // the client's leaving is how such an answer ends
	}
	return err
}

// ErrBroken means that an answer ended before it was whole: what came of it is a
// part.
var ErrBroken = errors.New("the node's answer broke off before its end: the node stopped, or failed and says why in its own log, or nothing was read for 30 s")

// broken is the error of a body that could not be read to its end.
func broken(err error) error {
	if err == nil || errors.Is(err, context.Canceled) || errors.Is(err, context.DeadlineExceeded) {
		return err
	}
	var syntax *json.SyntaxError
	var kind *json.UnmarshalTypeError
	if errors.As(err, &syntax) || errors.As(err, &kind) {
		return fmt.Errorf("the node's answer does not decode: %w", err)
	}
	return fmt.Errorf("%w (%w)", ErrBroken, err)
}

// each calls f for each JSON object of a stream. An endless one is followed until
// ctx ends; any other end is an error there.
func each[T interface{ failure() *Refusal }](ctx context.Context, body io.Reader, endless bool, f func(T) error) error {
	for dec := json.NewDecoder(body); ; {
		var v T
		err := dec.Decode(&v)
		switch {
		case ctx.Err() != nil:
			return unlessLeft(ctx, endless, ctx.Err())
		case errors.Is(err, io.EOF) && !endless:
			return nil
		case err != nil:
			return broken(err)
		}
		if why := v.failure(); why != nil {
			return fmt.Errorf("the node broke its answer off: %w", standing(why))
		}
		if err := f(v); err != nil {
			return err
		}
	}
}

// Review records an act of review.
func (c *Client) Review(ctx context.Context, act Review) (a Appended, err error) {
	return a, c.post(ctx, "/v1/review", act, &a)
}

// Remove records a removal of tasks of the node.
func (c *Client) Remove(ctx context.Context, r Removal) (out Removed, err error) {
	return out, c.post(ctx, "/v1/remove", r, &out)
}

func (c *Client) post(ctx context.Context, path string, what, into any) error {
	raw, err := json.Marshal(what)
	if err != nil {
		return err
	}
	body, err := c.do(ctx, http.MethodPost, path, nil, bytes.NewReader(raw))
	if err != nil {
		return err
	}
	defer body.Close()
	return broken(json.NewDecoder(body).Decode(into))
}

// Raw copies the lines that the node holds of another to w. After an error what
// was written is a part of them.
func (c *Client) Raw(ctx context.Context, node, log string, w io.Writer) error {
	body, err := c.do(ctx, http.MethodGet, "/v1/raw", url.Values{"node": {node}, "log": {log}}, nil)
	if err != nil {
		return err
	}
	defer body.Close()
	from := &answerReader{from: body}
	if _, err = io.Copy(w, from); from.err != nil {
		return broken(from.err)
	}
	return err
}

// answerReader remembers why an answer could not be read, which a copy mixes with
// why it could not be written.
type answerReader struct {
	from io.Reader
	err  error
}

// Read is that of io.Reader.
func (r *answerReader) Read(p []byte) (int, error) {
	n, err := r.from.Read(p)
	if !errors.Is(err, io.EOF) {
		r.err = err
	}
	return n, err
}

// Append sends events, a JSON object each, and returns an answer for each.
func (c *Client) Append(ctx context.Context, inputs ...[]byte) ([]Appended, error) {
	var out []Appended
	err := c.AppendStream(ctx, bytes.NewReader(append(bytes.Join(inputs, []byte("\n")), '\n')), func(a Appended) error {
		out = append(out, a)
		return nil
	})
	if err == nil && len(out) != len(inputs) {
		err = fmt.Errorf("the node answered %d of %d events; the others are in doubt", len(out), len(inputs))
	}
	return out, err
}

// AppendStream sends events as they are read, a JSON object a line, and calls
// emit with the answer to each as it comes.
func (c *Client) AppendStream(ctx context.Context, in io.Reader, emit func(Appended) error) error {
	// Only its reader: the transport would close a file that is left to be read
	// where no node answers.
	body, err := c.do(ctx, http.MethodPost, "/v1/events", nil, struct{ io.Reader }{in})
	if err != nil {
		return err
	}
	defer body.Close()
	dec := json.NewDecoder(bufio.NewReader(body))
	for {
		var a Appended
		if err := dec.Decode(&a); err != nil {
			if errors.Is(err, io.EOF) {
				return nil
			}
			return broken(err)
		}
		if err := emit(a); err != nil {
			return err
		}
	}
}

// Err is the error that an answer stands for, nil if the event was committed.
func (a Appended) Err() error {
	if a.Error == nil {
		return nil
	}
	return standing(a.Error)
}
