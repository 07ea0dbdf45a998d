/// The HTTP contract over one node: routes requests, reads them through VarveWire, asks the node, writes the answer.
///
/// The order of checks is fixed: token, path, method, query parameters, `Accept`, `Content-Type`; then the body is read.
/// An error is a `VarveError` until the very end, where one place makes a problem of it.

package import VarveHTTPServer
import VarveModel
package import VarveNode
import VarveQuery
package import VarveTelemetry
import VarveWire

package final class API: Sendable {
    let node: Node
    let logger: Logger
    let engine: QueryEngine
    let metrics: RouteMetrics
    private let token: [UInt8]?
    private let maxBodyBytes: Int

    /// Bodies that mean nothing (of a GET, of a flush) are read up to here.
    private static let idleBodyBytesMax = 64 * 1024

    package init(_ node: Node, logger: Logger) {
        self.node = node
        self.logger = logger
        engine = QueryEngine()
        metrics = RouteMetrics(node.metrics)
        token = node.configuration.http.token.map { Array($0.utf8) }
        maxBodyBytes = node.configuration.http.maxBodyBytes
    }

    /// A server for this API, not yet started, with the limits of the node's configuration.
    package func makeServer() -> HTTPServer {
        let http = node.configuration.http
        var options = HTTPServer.Options(host: http.host, port: UInt16(clamping: http.port))
        options.maxHeaderBytes = http.maxHeaderBytes
        options.headerTimeout = http.headerTimeout
        options.idleTimeout = http.idleTimeout
        options.maxConnections = http.maxConnections
        options.maxConcurrentRequests = http.maxConcurrentRequests
        return HTTPServer(
            options, faults: { [self] fault, head in refused(faultError(fault), head) },
            admit: { [self] head in admit(head) }, handler: { [self] exchange in await handle(exchange) })
    }

    // MARK: Before the body

    /// Runs on the server's own thread: decides, never waits.
    package func admit(_ head: Head) -> Admission {
        let place = head.pathSegments.flatMap { Route.place($0) }
        let route = place.flatMap { $0.route(head.method) }
        do throws(VarveError) {
            if let token, !(place?.isOpen ?? false),
                !Negotiation.isAuthorized(head.headers["Authorization"], token)
            {
                throw VarveError(
                    .unauthenticated,
                    head.headers["Authorization"] == nil
                        ? "this node asks for a token (http.token)" : "this is not the token of this node (http.token)",
                    next: "send Authorization: Bearer TOKEN; varve takes it by --token or VARVE_TOKEN")
            }
            guard head.pathSegments != nil else {
                throw VarveError(.badRequest, "the path has a broken percent escape or is not UTF-8")
            }
            guard let place else {
                throw VarveError(.notFound, "there is no route \(head.path)", next: "GET /openapi.yaml")
            }
            guard let route else {
                return .refuse(
                    refused(
                        VarveError(.methodNotAllowed, "\(head.path) allows \(place.allowed)"), head,
                        [("Allow", place.allowed)]))
            }
            guard head.query != nil else {
                throw VarveError(.badRequest, "the query has a broken percent escape or is not UTF-8")
            }
            _ = try Parameters(head, route)
            if !route.offers.isEmpty, Negotiation.choose(head.headers.values("Accept"), from: route.offers) == nil {
                throw VarveError(
                    .notAcceptable, "this route answers with \(route.offers.joined(separator: " or "))")
            }
            if let wanted = route.contentType, !Negotiation.isType(head.headers["Content-Type"], wanted) {
                throw VarveError(
                    .unsupportedMediaType, "the body must be \(wanted). Nothing was written",
                    next: "Content-Type: \(wanted)")
            }
            switch route {
            case .started, .alive, .ready: return .refuse(counted(health(route), route))
            case .submit, .query, .applySettings: return .collect(maxBytes: maxBodyBytes, gzip: true)
            case .loadRows: return .stream(gzip: true)
            default: return .collect(maxBytes: Self.idleBodyBytesMax)
            }
        } catch {
            return .refuse(refused(error, head))
        }
    }

    private func refused(_ error: VarveError, _ head: Head?, _ headers: Headers = []) -> Response {
        let route = head?.pathSegments.flatMap { Route.place($0) }?.route(head?.method ?? "")
        metrics.count(error.code)
        return counted(.problem(error, headers), route)
    }

    private func counted(_ response: Response, _ route: Route?) -> Response {
        metrics.observe(route, response.status, .zero)
        return response
    }

    // MARK: After the body, or while it comes

    package func handle(_ exchange: Exchange) async -> Response {
        let began = ContinuousClock.now
        let head = exchange.head
        // Admitted, so there is a route.
        guard let path = head.pathSegments, let route = Route.place(path)?.route(head.method) else {
            return .problem(VarveError(.notFound, "there is no such route"))
        }
        var response: Response
        do throws(VarveError) {
            response = try await answer(route, exchange, path)
        } catch {
            response = failed(error)
        }
        guard case .writer(let write) = response.body else {
            metrics.observe(route, response.status, ContinuousClock.now - began)
            return response
        }
        let status = response.status
        response.body = .writer { [metrics] writer in
            defer { metrics.observe(route, status, ContinuousClock.now - began) }
            try await write(writer)
        }
        return response
    }

    /// The one place where an error becomes an answer.
    func failed(_ error: VarveError, _ headers: Headers = []) -> Response {
        note(error)
        return .problem(error, headers)
    }

    func note(_ error: VarveError) {
        metrics.count(error.code)
        if error.code == .internal { logger.error("a request failed by a defect of ours: \(error)") }
    }

    private func answer(_ route: Route, _ exchange: Exchange, _ path: [String]) async throws(VarveError) -> Response {
        let parameters = try Parameters(exchange.head, route)
        switch route {
        case .submit: return try await submit(exchange)
        case .transactions: return try await transactions(parameters)
        case .transaction: return try await transaction(path[2], parameters)
        case .loadRows: return try await loadRows(path[2], parameters, exchange)
        case .row: return try await row(path[2], path[4], parameters)
        case .history: return try await history(path[2], path[4], parameters)
        case .query: return try await query(exchange)
        case .tables: return try await tables(parameters)
        case .status: return .json(status().json)
        case .blocks: return try blocks(parameters)
        case .epochs: return try epochs()
        case .migrate: return try await migrate(exchange, parameters)
        case .flush, .finishBlock: return try await flush(parameters)
        case .settings: return try settings()
        case .applySettings: return try await applySettings(exchange, parameters)
        case .started, .alive, .ready: return health(route)
        case .metrics:
            return Response(
                status: 200, headers: [("Content-Type", MetricsRegistry.contentType)],
                body: Array(node.metrics.render().utf8))
        case .openAPI:
            return Response(
                status: 200, headers: [("Content-Type", "application/yaml")], body: Array(openAPIDocument.utf8))
        case .home: return Dashboard.response
        }
    }
}

extension Route.Place {
    func route(_ method: String) -> Route? {
        switch method {
        case "GET", "HEAD": get
        case "POST": post
        default: nil
        }
    }

    /// Open whatever the method is, so that 405 is said there, too.
    var isOpen: Bool { (get ?? post)?.isOpen ?? false }
}

extension Head {
    /// The target without its query.
    var path: String { String(rawTarget.prefix { $0 != "?" }) }
}
