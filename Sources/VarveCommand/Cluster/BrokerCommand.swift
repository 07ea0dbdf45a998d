// `varve broker`: the embedded broker as a process of its own.

import RdKafka
import VarveModel
import VarveTerminal

struct BrokerCommand {
    let invocation: Invocation
    let surroundings: Surroundings

    init(_ invocation: Invocation, _ surroundings: Surroundings) {
        self.invocation = invocation
        self.surroundings = surroundings
    }

    func run() async throws -> ExitCode {
        let interruption = Interruption()
        if invocation[Parameters.stopWithInput] { InputEnd.watch(surroundings.input) { interruption.request() } }
        let topic = invocation[Parameters.topic]
        let broker = try Broker.start(topic: topic, from: invocation[Parameters.firstEpoch])
        defer { broker.close() }
        try surroundings.output.line(broker.bootstrapServers)
        await interruption.wait()
        return .success
    }
}

enum Broker {
    /// Epochs a development cluster can go through.
    static let epochs = 16

    /// An embedded broker with the topics of a log, from an epoch on: it makes none by request.
    static func start(topic: String, from first: Int = 0) throws(VarveError) -> EmbeddedBroker {
        do throws(RdKafkaError) {
            let broker = try EmbeddedBroker()
            for epoch in first..<first + epochs { try broker.createTopic("\(topic)-e\(epoch)") }
            return broker
        } catch {
            throw VarveError(.internal, "the embedded broker cannot start: \(error)")
        }
    }
}
