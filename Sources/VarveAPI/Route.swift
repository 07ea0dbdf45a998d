/// The routes: what is matched, documented at `/openapi.yaml`, and named in the metrics. A test holds them together.

enum Route: Int, CaseIterable, Sendable {
    case home, openAPI, metrics
    case started, alive, ready
    case submit, transactions, transaction
    case loadRows, row, history
    case query, tables
    case status, blocks, epochs, migrate, flush, finishBlock, settings, applySettings

    enum Method: String, Sendable { case get, post }

    var method: Method {
        switch self {
        case .submit, .loadRows, .query, .migrate, .flush, .finishBlock, .applySettings: .post
        default: .get
        }
    }

    /// The path as it is documented, the `route` label of the metrics.
    var template: String {
        switch self {
        case .home: "/"
        case .openAPI: "/openapi.yaml"
        case .metrics: "/metrics"
        case .started: "/healthz/started"
        case .alive: "/healthz/alive"
        case .ready: "/healthz/ready"
        case .submit, .transactions: "/v1/transactions"
        case .transaction: "/v1/transactions/{id}"
        case .loadRows: "/v1/tables/{table}/rows"
        case .row: "/v1/tables/{table}/rows/{id}"
        case .history: "/v1/tables/{table}/rows/{id}/history"
        case .query: "/v1/query"
        case .tables: "/v1/tables"
        case .status: "/v1/status"
        case .blocks: "/v1/blocks"
        case .epochs: "/v1/epochs"
        case .migrate: "/v1/epochs/migrate"
        case .flush: "/v1/flush"
        case .finishBlock: "/system/finish-block"
        case .settings, .applySettings: "/v1/settings"
        }
    }

    /// The query parameters it takes; any other is refused.
    var parameters: Set<String> {
        switch self {
        case .transactions: ["since", "limit", "asOf", "after", "consistency", "timeout"]
        case .transaction: ["resolve", "after", "timeout"]
        case .loadRows: ["batch", "id"]
        case .row: ["idType", "asOf", "after", "consistency", "timeout"]
        case .history: ["idType", "limit", "asOf", "after", "consistency", "timeout"]
        case .tables: ["asOf", "after", "consistency", "timeout"]
        case .blocks: ["limit", "before"]
        case .flush, .finishBlock: ["await", "timeout"]
        case .applySettings, .migrate: ["timeout"]
        default: []
        }
    }

    /// Whether it is answered without the token.
    var isOpen: Bool {
        switch self {
        case .home, .started, .alive, .ready: true
        default: false
        }
    }

    /// The media type that its body must have; nil where a body means nothing.
    var contentType: String? {
        switch self {
        case .submit, .query, .migrate, .applySettings: "application/json"
        case .loadRows: "application/x-ndjson"
        default: nil
        }
    }

    /// What it can answer with, most wanted first; empty where `Accept` is not looked at.
    var offers: [String] {
        switch self {
        case .home, .openAPI, .metrics, .started, .alive, .ready: []
        case .loadRows: ["application/x-ndjson", "application/json"]
        case .query: ["application/json", "application/x-ndjson", "text/csv"]
        default: ["application/json"]
        }
    }

    /// What a path leads to, by method.
    struct Place {
        var get: Route?
        var post: Route?

        var allowed: String {
            [get.map { _ in "GET, HEAD" }, post.map { _ in "POST" }].compactMap { $0 }.joined(separator: ", ")
        }
    }

    static func place(_ path: [String]) -> Place? {
        switch path.count {
        case 0: Place(get: .home)
        case 1: path[0] == "metrics" ? Place(get: .metrics) : path[0] == "openapi.yaml" ? Place(get: .openAPI) : nil
        case 2:
            switch (path[0], path[1]) {
            case ("v1", "transactions"): Place(get: .transactions, post: .submit)
            case ("v1", "query"): Place(post: .query)
            case ("v1", "tables"): Place(get: .tables)
            case ("v1", "status"): Place(get: .status)
            case ("v1", "blocks"): Place(get: .blocks)
            case ("v1", "epochs"): Place(get: .epochs)
            case ("v1", "flush"): Place(post: .flush)
            case ("v1", "settings"): Place(get: .settings, post: .applySettings)
            case ("healthz", "started"): Place(get: .started)
            case ("healthz", "alive"): Place(get: .alive)
            case ("healthz", "ready"): Place(get: .ready)
            case ("system", "finish-block"): Place(post: .finishBlock)
            default: nil
            }
        case 3 where path[0] == "v1" && path[1] == "transactions": Place(get: .transaction)
        case 3 where path[0] == "v1" && path[1] == "epochs" && path[2] == "migrate": Place(post: .migrate)
        case 4 where path[0] == "v1" && path[1] == "tables" && path[3] == "rows": Place(post: .loadRows)
        case 5 where path[0] == "v1" && path[1] == "tables" && path[3] == "rows": Place(get: .row)
        case 6 where path[0] == "v1" && path[1] == "tables" && path[3] == "rows" && path[5] == "history":
            Place(get: .history)
        default: nil
        }
    }
}
