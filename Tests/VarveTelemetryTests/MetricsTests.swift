import Testing
import VarveTelemetry

@Suite("Metrics")
struct MetricsTests {
    @Test("counters, gauges and histograms render as Prometheus reads them")
    func rendering() {
        let registry = MetricsRegistry()
        registry.counter("varve_rows_total", help: "Rows applied.").increment(by: 3)
        registry.counter("varve_errors_total", help: "Errors.", labels: ["code": "POISON"]).increment()
        registry.gauge("varve_lag_seconds", help: "Lag.").set(0.25)
        let histogram = registry.histogram("varve_append_seconds", help: "Appends.", buckets: [0.1, 1])
        histogram.observe(.milliseconds(100))
        histogram.observe(0.5)
        histogram.observe(7)
        #expect(
            registry.render() == """
                # HELP varve_append_seconds Appends.
                # TYPE varve_append_seconds histogram
                varve_append_seconds_bucket{le="0.1"} 1
                varve_append_seconds_bucket{le="1"} 2
                varve_append_seconds_bucket{le="+Inf"} 3
                varve_append_seconds_sum 7.6
                varve_append_seconds_count 3
                # HELP varve_errors_total Errors.
                # TYPE varve_errors_total counter
                varve_errors_total{code="POISON"} 1
                # HELP varve_lag_seconds Lag.
                # TYPE varve_lag_seconds gauge
                varve_lag_seconds 0.25
                # HELP varve_rows_total Rows applied.
                # TYPE varve_rows_total counter
                varve_rows_total 3

                """)
    }

    @Test("help and label values are escaped, labels are sorted")
    func escaping() {
        let registry = MetricsRegistry()
        registry.gauge("g", help: "a\\b\n\"c\"", labels: ["z": "1", "a": "x\\y\n\"q\""]).set(1)
        #expect(
            registry.render() == #"""
                # HELP g a\\b\n"c"
                # TYPE g gauge
                g{a="x\\y\n\"q\"",z="1"} 1

                """#)
    }

    @Test("a name with the same labels is the same handle")
    func sameHandle() {
        let registry = MetricsRegistry()
        let first = registry.counter("c", help: "h", labels: ["a": "1", "b": "2"])
        first.increment()
        registry.counter("c", help: "h", labels: ["b": "2", "a": "1"]).increment()
        #expect(first.value == 2)
    }

    @Test("closures are read at each scrape, nil leaves the sample out, odd numbers have their names")
    func closures() {
        let registry = MetricsRegistry()
        let gauge = Gauge()
        registry.gauge("a", help: "h") { gauge.value }
        registry.gauge("b", help: "h") { nil }
        registry.gauges("w", help: "h") {
            [MetricSample(.infinity, labels: ["code": "Y"]), MetricSample(.nan, labels: ["code": "X"])]
        }
        gauge.set(-2)
        gauge.add(0.5)
        let text = registry.render()
        #expect(text.contains("\na -1.5\n"))
        #expect(text.contains("# TYPE b gauge\n# HELP w"))
        #expect(text.hasSuffix("w{code=\"X\"} NaN\nw{code=\"Y\"} +Inf\n"))
    }

    @Test("updates from many threads at once are all counted")
    func concurrent() async {
        let registry = MetricsRegistry()
        let counter = registry.counter("c", help: "h")
        let gauge = registry.gauge("g", help: "h")
        let histogram = registry.histogram("s", help: "h", buckets: [1])
        await withTaskGroup { group in
            for _ in 0..<4 {
                group.addTask {
                    for _ in 0..<2500 {
                        counter.increment()
                        gauge.add(1)
                        histogram.observe(1)
                    }
                }
            }
        }
        #expect(counter.value == 10_000)
        #expect(gauge.value == 10_000)
        #expect(histogram.state.count == 10_000)
        #expect(histogram.state.sum == 10_000)
    }

    #if os(Linux)
        @Test("the process tells its memory, processor time, descriptors and start")
        func process() throws {
            let registry = MetricsRegistry()
            ProcessMetrics.register(in: registry)
            var values: [String: Double] = [:]
            for line in registry.render().split(separator: "\n") where !line.hasPrefix("#") {
                let parts = line.split(separator: " ")
                values[String(parts[0])] = Double(parts[1])
            }
            #expect(try #require(values["process_resident_memory_bytes"]) > 1_000_000)
            #expect(try #require(values["process_cpu_seconds_total"]) > 0)
            #expect(try #require(values["process_open_fds"]) >= 3)
            let started = try #require(values["process_start_time_seconds"])
            let now = Double(LineLogSink.systemClock()) / 1e6
            #expect(started > 1_600_000_000 && started <= now + 1)
        }
    #endif
}
