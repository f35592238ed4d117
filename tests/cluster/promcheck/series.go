// The time series of a test, in memory, as the query engine wants to read them.
package main

import (
	"io"

	"github.com/prometheus/prometheus/model/labels"
	"github.com/prometheus/prometheus/promql"
	"github.com/prometheus/prometheus/promql/parser"
	"github.com/prometheus/prometheus/storage"
	"github.com/prometheus/prometheus/util/annotations"
)

const minuteMs = 60_000

type memory []promql.Series

// Lines such as `up{job="a"} 0+1x5 _x3 stale`, one sample a minute from minute 0 on.
func readSeries(in io.Reader) (memory, error) {
	var all memory
	err := eachLine(in, func(line string) error {
		metric, values, err := parser.ParseSeriesDesc(line)
		series := promql.Series{Metric: metric}
		for minute, value := range values {
			if !value.Omitted {
				series.Floats = append(series.Floats, promql.FPoint{T: int64(minute) * minuteMs, F: value.Value})
			}
		}
		all = append(all, series)
		return err
	})
	return all, err
}

func (known memory) queryable() storage.Queryable {
	return &storage.MockQueryable{MockQuerier: &storage.MockQuerier{SelectMockFunction: known.selected}}
}

func (known memory) selected(_ bool, _ *storage.SelectHints, matchers ...*labels.Matcher) storage.SeriesSet {
	set := &found{}
	for _, series := range known {
		if matches(series.Metric, matchers) {
			set.left = append(set.left, series)
		}
	}
	return set
}

func matches(metric labels.Labels, matchers []*labels.Matcher) bool {
	for _, matcher := range matchers {
		if !matcher.Matches(metric.Get(matcher.Name)) {
			return false
		}
	}
	return true
}

// What a query selects, to be read one after another.
type found struct {
	current promql.Series
	left    []promql.Series
}

func (set *found) Next() bool {
	if len(set.left) == 0 {
		return false
	}
	set.current, set.left = set.left[0], set.left[1:]
	return true
}

func (set *found) At() storage.Series                { return promql.NewStorageSeries(set.current) }
func (set *found) Err() error                        { return nil }
func (set *found) Warnings() annotations.Annotations { return nil }
