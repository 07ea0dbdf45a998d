// Metrics of one process, rendered as Prometheus text (exposition format 0.0.4).
//
// Invariants: a name has one kind and one help text; a name and its labels have one handle; the text is sorted by name
// and labels, so two scrapes of the same state are the same bytes. A name of the wrong form or of two kinds is our own
// mistake and a precondition. Label *values* may come from anywhere and are escaped; who uses one that clients choose
// bounds it first, for every value is kept.

import Synchronization

package typealias MetricLabels = [String: String]

/// One value with its labels, as a closure gives it when metrics are read.
package struct MetricSample: Sendable {
    package var labels: MetricLabels
    package var value: Double

    package init(_ value: Double, labels: MetricLabels = [:]) {
        self.labels = labels
        self.value = value
    }
}

package final class MetricsRegistry: Sendable {
    enum Kind: String { case counter, gauge, histogram }

    enum Source: Sendable {
        case counter(Counter)
        case gauge(Gauge)
        case histogram(Histogram)
        case read(@Sendable () -> [MetricSample])
    }

    struct Family: Sendable {
        let kind: Kind
        let help: String
        var sources: [MetricLabels: Source] = [:]
    }

    private let families = Mutex<[String: Family]>([:])

    package init() {}

    package static let contentType = "text/plain; version=0.0.4; charset=utf-8"

    /// The counter of this name and these labels, made by the first call.
    package func counter(_ name: String, help: String, labels: MetricLabels = [:]) -> Counter {
        let source = source(name, .counter, help, labels) { .counter(Counter()) }
        guard case .counter(let counter) = source else { preconditionFailure("\(name) is read by a closure") }
        return counter
    }

    /// A counter that somebody else keeps: `read` is called at each scrape, outside of any lock of ours.
    package func counter(
        _ name: String, help: String, labels: MetricLabels = [:], read: @escaping @Sendable () -> Double?
    ) { setRead(name, .counter, help, labels) { read().map { [MetricSample($0)] } ?? [] } }

    /// A counter whose labels are only known when it is read.
    package func counters(_ name: String, help: String, read: @escaping @Sendable () -> [MetricSample]) {
        setRead(name, .counter, help, [:], read)
    }

    package func gauge(_ name: String, help: String, labels: MetricLabels = [:]) -> Gauge {
        let source = source(name, .gauge, help, labels) { .gauge(Gauge()) }
        guard case .gauge(let gauge) = source else { preconditionFailure("\(name) is read by a closure") }
        return gauge
    }

    /// A gauge read at each scrape; nil leaves the sample out.
    package func gauge(
        _ name: String, help: String, labels: MetricLabels = [:], read: @escaping @Sendable () -> Double?
    ) { setRead(name, .gauge, help, labels) { read().map { [MetricSample($0)] } ?? [] } }

    /// A gauge whose labels are only known when it is read.
    package func gauges(_ name: String, help: String, read: @escaping @Sendable () -> [MetricSample]) {
        setRead(name, .gauge, help, [:], read)
    }

    /// `buckets` are upper bounds, ascending, without the infinite one.
    package func histogram(
        _ name: String, help: String, labels: MetricLabels = [:], buckets: [Double] = Histogram.secondsBuckets
    ) -> Histogram {
        precondition(labels["le"] == nil, "le is the histogram's own label")
        let source = source(name, .histogram, help, labels) { .histogram(Histogram(buckets: buckets)) }
        guard case .histogram(let histogram) = source else { preconditionFailure("\(name) is read by a closure") }
        return histogram
    }

    private func source(
        _ name: String, _ kind: Kind, _ help: String, _ labels: MetricLabels, make: () -> Source
    ) -> Source {
        families.withLock { families in
            if let known = families[name]?.sources[labels], families[name]?.kind == kind { return known }
            Self.add(name, kind, help, labels, to: &families)
            let made = make()
            families[name]?.sources[labels] = made
            return made
        }
    }

    private func setRead(
        _ name: String, _ kind: Kind, _ help: String, _ labels: MetricLabels,
        _ read: @escaping @Sendable () -> [MetricSample]
    ) {
        families.withLock { families in
            Self.add(name, kind, help, labels, to: &families)
            families[name]?.sources[labels] = .read(read)
        }
    }

    private static func add(
        _ name: String, _ kind: Kind, _ help: String, _ labels: MetricLabels, to families: inout [String: Family]
    ) {
        precondition(isName(name, colons: true), "\(name) is no metric name")
        precondition(labels.keys.allSatisfy { isName($0, colons: false) }, "\(name) has a label with a wrong name")
        if let family = families[name] {
            precondition(family.kind == kind, "\(name) is a \(family.kind.rawValue) already")
        } else {
            families[name] = Family(kind: kind, help: help)
        }
    }

    private static func isName(_ name: String, colons: Bool) -> Bool {
        guard let first = name.utf8.first, !(0x30...0x39).contains(first) else { return false }
        return name.utf8.allSatisfy {
            switch $0 {
            case 0x30...0x39, 0x41...0x5a, 0x61...0x7a, 0x5f: true
            case 0x3a: colons
            default: false
            }
        }
    }

    /// Everything, as Prometheus reads it. Closures run outside of the registry's lock, so they may use the registry.
    package func render() -> String {
        let families = families.withLock { $0 }
        var text = PrometheusText()
        for name in families.keys.sorted() {
            guard let family = families[name] else { continue }
            text.begin(name, kind: family.kind.rawValue, help: family.help)
            for (labels, source) in family.sources.sorted(by: { sortKey($0.key) < sortKey($1.key) }) {
                switch source {
                case .counter(let counter): text.sample(name, labels, Double(counter.value))
                case .gauge(let gauge): text.sample(name, labels, gauge.value)
                case .histogram(let histogram): text.histogram(name, labels, histogram.state)
                case .read(let read):
                    let samples = read().map { MetricSample($0.value, labels: $0.labels.merging(labels) { $1 }) }
                    for sample in samples.sorted(by: { sortKey($0.labels) < sortKey($1.labels) }) {
                        text.sample(name, sample.labels, sample.value)
                    }
                }
            }
        }
        return text.out
    }
}

private func sortKey(_ labels: MetricLabels) -> String {
    labels.sorted { $0.key < $1.key }.map { "\($0.key)\u{0}\($0.value)" }.joined(separator: "\u{0}")
}
