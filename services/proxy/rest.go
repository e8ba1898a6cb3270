package proxy

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"strconv"
	"strings"
	"time"

	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/proto"

	"github.com/gyr-db/gyr/pkg/errs"
)

// Codes that only the REST API answers.
const (
	restBadJSON      errs.Code = 1801
	restMissing      errs.Code = 1802
	restBadRows      errs.Code = 1804
	restBase                   = "/v2/vectordb/"
	restMaxBodyBytes           = 256 << 20
)

// restRequest is one call of the REST API.
type restRequest struct {
	p    *Proxy
	body []byte
	db   string
	// textInts shows values of Int64 as text, for clients whose numbers do not hold 64 bits.
	textInts bool
}

// restFunc answers a call; what it returns becomes the member `data` of the answer.
type restFunc func(ctx context.Context, r *restRequest) (any, error)

// restRoutes are the paths behind restBase.
func restRoutes() map[string]restFunc {
	routes := map[string]restFunc{}
	for _, group := range []map[string]restFunc{restCollections(), restEntities(), restNames(), restAlterations()} {
		for path, fn := range group {
			routes[path] = fn
		}
	}
	return routes
}

// httpHandler answers HTTP/1 requests on the public port.
func (p *Proxy) httpHandler() http.Handler {
	routes := restRoutes()
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		path, inside := strings.CutPrefix(r.URL.Path, restBase)
		fn := routes[strings.Trim(path, "/")]
		if !inside || fn == nil {
			writeJSON(w, http.StatusNotFound, map[string]any{"code": 404, "message": "no such path: " + r.URL.Path + "; the API is at " + restBase + ", and gRPC is spoken on this port, too"})
			return
		}
		if r.Method != http.MethodPost {
			writeJSON(w, http.StatusMethodNotAllowed, map[string]any{"code": 405, "message": "only POST is understood here"})
			return
		}
		data, err := p.serveREST(r, fn)
		if err != nil {
			code, _ := publicCode(errs.CodeOf(err), false)
			writeJSON(w, http.StatusOK, map[string]any{"code": code, "message": err.Error()})
			return
		}
		if data == nil {
			data = struct{}{}
		}
		writeJSON(w, http.StatusOK, map[string]any{"code": 0, "data": data})
	})
}

func (p *Proxy) serveREST(r *http.Request, fn restFunc) (any, error) {
	ctx := r.Context()
	timeout := p.cfg.RequestTimeout
	if s, err := strconv.ParseFloat(r.Header.Get("Request-Timeout"), 64); err == nil && s > 0 {
		timeout = min(timeout, time.Duration(s*float64(time.Second)))
	}
	ctx, cancel := context.WithTimeout(ctx, timeout)
	defer cancel()
	ticket, err := p.gate.enter(ctx)
	if err != nil {
		return nil, err
	}
	defer ticket.leave()
	body, err := io.ReadAll(io.LimitReader(r.Body, restMaxBodyBytes+1))
	if err != nil {
		return nil, errs.Input(restBadJSON, "the body cannot be read: %v", err)
	}
	if len(body) > restMaxBodyBytes {
		return nil, errs.Input(errs.ParameterTooLarge, "the body has more than %d bytes", restMaxBodyBytes)
	}
	ticket.holds(int64(len(body)))
	if len(strings.TrimSpace(string(body))) == 0 {
		body = []byte("{}")
	}
	req := &restRequest{p: p, body: body, textInts: r.Header.Get("Accept-Type-Allow-Int64") != "" && !truth(r.Header.Get("Accept-Type-Allow-Int64"))}
	var named struct {
		DB string `json:"dbName"`
	}
	if err := req.read(&named); err != nil {
		return nil, err
	}
	req.db = firstOf(named.DB, r.Header.Get("DB-Name"), r.Header.Get("dbName"), defaultDB)
	return fn(ctx, req)
}

func firstOf(values ...string) string {
	for _, v := range values {
		if v != "" {
			return v
		}
	}
	return ""
}

// read decodes the body.
func (r *restRequest) read(into any) error {
	if err := json.Unmarshal(r.body, into); err != nil {
		return errs.Input(restBadJSON, "can only accept json format request, error: %v", err)
	}
	return nil
}

// need reports the first of some pairs of name and value whose value is empty.
func need(pairs ...string) error {
	for i := 0; i < len(pairs); i += 2 {
		if pairs[i+1] == "" {
			return errs.Input(restMissing, "missing required parameters, error: Key: '%s' is required", pairs[i])
		}
	}
	return nil
}

// invoke runs a method as gRPC would: with its metrics, its recovery from panics and its Status, which becomes an error.
func invoke[Req, Resp proto.Message](ctx context.Context, p *Proxy, method string, req Req, fn func(context.Context, Req) (Resp, error)) (Resp, error) {
	var none Resp
	c := &call{p: p, method: method, begun: time.Now()}
	out, err := c.run(ctx, req, nil, func(ctx context.Context, _ any) (any, error) { return fn(ctx, req) })
	if err != nil {
		return none, errs.New(errs.Unimplemented, "%s", status.Convert(err).Message())
	}
	m, _ := out.(proto.Message)
	if st := statusIn(m); st.GetCode() != 0 {
		return none, errs.New(errs.Code(st.Code), "%s", st.Reason)
	}
	resp, ok := m.(Resp)
	if !ok {
		return none, errs.New(errs.Internal, "%s answered with a %T", method, m)
	}
	return resp, nil
}

func writeJSON(w http.ResponseWriter, code int, body any) {
	raw, err := json.Marshal(body)
	if err != nil {
		code, raw = http.StatusInternalServerError, []byte(fmt.Sprintf(`{"code":65535,"message":%q}`, err.Error()))
	}
	w.Header().Set("Content-Type", "application/json; charset=utf-8")
	w.WriteHeader(code)
	if _, err := w.Write(raw); err != nil && !errors.Is(err, http.ErrHandlerTimeout) {
		return // the client is gone
	}
}
