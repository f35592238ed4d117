// Which alerts fire when, as Prometheus decides it: an alert fires once its expression has held for as long as `for` says.
package main

import (
	"context"
	"encoding/json"
	"net/url"
	"os"
	"time"

	"github.com/prometheus/common/model"
	"github.com/prometheus/prometheus/model/rulefmt"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/template"
)

// What the templates of annotations may use: the same names as in Prometheus.
const definitions = "{{$labels := .Labels}}{{$value := .Value}}"

var engine = promql.NewEngine(promql.EngineOpts{MaxSamples: 1_000_000, Timeout: time.Minute})

type firing struct {
	Minute      int               `json:"minute"`
	Alert       string            `json:"alert"`
	Labels      map[string]string `json:"labels"`
	Annotations map[string]string `json:"annotations"`
}

// Prints each minute in which the alert fires, once for each set of labels.
func follow(rule rulefmt.Rule, known memory, minutes int) error {
	heldSince := map[string]time.Time{}
	for minute := range minutes + 1 {
		now := time.UnixMilli(int64(minute) * minuteMs)
		result, err := ask(rule.Expr, known, now)
		if err != nil {
			return err
		}
		held := heldSince
		heldSince = map[string]time.Time{}
		for _, sample := range result {
			key := sample.Metric.String()
			since, before := held[key]
			if !before {
				since = now
			}
			heldSince[key] = since
			if now.Sub(since) < time.Duration(rule.For) {
				continue
			}
			if err := show(rule, sample, minute, now); err != nil {
				return err
			}
		}
	}
	return nil
}

func ask(expression string, known memory, now time.Time) (promql.Vector, error) {
	query, err := engine.NewInstantQuery(context.Background(), known.queryable(), nil, expression, now)
	if err != nil {
		return nil, err
	}
	defer query.Close()
	return query.Exec(context.Background()).Vector()
}

func show(rule rulefmt.Rule, sample promql.Sample, minute int, now time.Time) error {
	line := firing{minute, rule.Alert, sample.Metric.Map(), map[string]string{}}
	data := template.AlertTemplateData(line.Labels, nil, "", sample)
	for name, text := range rule.Annotations {
		at := model.TimeFromUnixNano(now.UnixNano())
		words, err := template.NewTemplateExpander(
			context.Background(), definitions+text, rule.Alert, data, at, nil, &url.URL{}, nil,
		).Expand()
		if err != nil {
			return err
		}
		line.Annotations[name] = words
	}
	return json.NewEncoder(os.Stdout).Encode(line)
}
