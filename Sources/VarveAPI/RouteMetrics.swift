/// Times of requests by route and status, and errors by code.

import Synchronization
import VarveModel
import VarveTelemetry

final class RouteMetrics: Sendable {
    private struct Known {
        /// By `route << 16 | status`: looking a histogram up by its labels would cost more than some requests.
        var times: [Int: Histogram] = [:]
        var errors: [ErrorCode: Counter] = [:]
    }

    private let registry: MetricsRegistry
    private let known = Mutex(Known())

    init(_ registry: MetricsRegistry) { self.registry = registry }

    /// - Parameter route: nil for what has none.
    func observe(_ route: Route?, _ status: Int, _ time: Duration) {
        let key = ((route?.rawValue ?? -1) + 1) << 16 | status
        let histogram = known.withLock { known in
            if let histogram = known.times[key] { return histogram }
            let histogram = registry.histogram(
                "varve_http_request_seconds", help: "Time from a request's header to the end of its answer, in seconds",
                labels: [
                    "route": route?.template ?? "none", "method": route?.method.rawValue ?? "none",
                    "status": String(status),
                ])
            known.times[key] = histogram
            return histogram
        }
        histogram.observe(time)
    }

    func count(_ code: ErrorCode) {
        let counter = known.withLock { known in
            if let counter = known.errors[code] { return counter }
            let counter = registry.counter(
                "varve_errors_total", help: "Errors answered to clients, by code", labels: ["code": code.rawValue])
            known.errors[code] = counter
            return counter
        }
        counter.increment()
    }
}
