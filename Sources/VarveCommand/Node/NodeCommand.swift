// `varve node`: one node from start to orderly end.
//
// The HTTP server is up before the node is, so that health checks are answered while it waits for its log. It ends in
// the order of dependence: no new connections, requests in flight, then the node.

import VarveAPI
import VarveHTTPServer
import VarveModel
import VarveNode
import VarveTelemetry
import VarveTerminal

struct NodeCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    /// What requests in flight get to end by themselves: the default wait of a submission.
    private static let grace = Duration.seconds(10)

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    private enum End: Sendable {
        case asked
        case node(VarveError?)
    }

    func run() async throws -> ExitCode {
        let configuration = try surroundings.configuration(invocation[Parameters.config])
        let lines = LineLogSink.standardError(format: configuration.logging.format)
        let sink: any LogSink = surroundings.given.map { NamingLogSink(lines: lines, given: $0) } ?? lines
        let logger = Logger(label: "varve", level: configuration.logging.level, sink: sink)
        let interruption = Interruption()
        if invocation[Parameters.stopWithInput] { InputEnd.watch(surroundings.input) { interruption.request() } }
        let node = try Composition.node(
            configuration, logSink: sink, bootstrapFromLog: invocation[Parameters.bootstrapFromLog])
        let server = API(node, logger: logger).makeServer()
        do throws(HTTPServerError) {
            try server.start()
        } catch {
            throw Self.failure(error)
        }
        let address = Self.url(host: configuration.http.host, port: Int(server.port))
        node.announce(address: address)
        if let given = surroundings.given { node.announce(naming: given.naming) }
        logger.info("node \(node.id) listens on \(address)", metadata: ["version": Node.version])
        logger.info(
            "opening log and storage",
            metadata: [
                "log": ConfigCommand.describe(configuration.log),
                "storage": ConfigCommand.describe(configuration.storage),
            ])
        let end = await serve(node, server, interruption, logger)
        switch end {
        case .asked, .node(nil):
            logger.info("node \(node.id) has ended")
            return .success
        case .node(let error?):
            // Whoever collects lines of JSON sees why it ended, too.
            if configuration.logging.format == .json {
                logger.error("node \(node.id) ends: \(error)", metadata: ["code": error.code.rawValue])
            }
            throw error
        }
    }

    private func serve(
        _ node: Node, _ server: HTTPServer, _ interruption: Interruption, _ logger: Logger
    ) async -> End {
        await withTaskGroup(of: End.self) { group in
            group.addTask {
                do {
                    try await node.run()
                    return .node(nil)
                } catch {
                    return .node((error as? VarveError) ?? VarveError(.internal, "\(error)"))
                }
            }
            group.addTask {
                await interruption.wait()
                return .asked
            }
            let first = await group.next() ?? .asked
            if case .asked = first { logger.info("ending: requests in flight get \(Quantity.time(Self.grace)) to end") }
            await server.stop(grace: Self.grace)
            // Wakes the task that still waits for a signal.
            interruption.request()
            group.cancelAll()
            for await _ in group {}
            return first
        }
    }

    private static func failure(_ error: HTTPServerError) -> Failure {
        switch error {
        case .addressInUse(let host, let port):
            Failure(
                "ADDRESS_IN_USE: \(host):\(port) is in use by another process; next: end that process, or set http.port",
                .failure)
        case .addressUnavailable(let host, let port, let reason):
            Failure(
                "CONFIG_INVALID: cannot listen on \(host):\(port): \(reason); next: set http.host to an address of this "
                    + "machine", .configuration)
        default: Failure("INTERNAL: \(error)", .failure)
        }
    }

    static func url(host: String, port: Int) -> String {
        let name = host.contains(":") ? "[\(host)]" : host == "0.0.0.0" || host == "::" ? "localhost" : host
        return "http://\(name):\(port)"
    }
}
