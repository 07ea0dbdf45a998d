import VarveWire
import VarveClient
import VarveModel

extension Drill {
    static let kafkaDown = Drill("kafka-down", "the broker does not answer, while clients write") { drill in
        let cluster = try await drill.build()
        try await cluster.write(10)
        drill.built("10 documents")
        drill.broken(try await cluster.broker.goDown())
        // One client asks on through all of it, with one id: its write happens once.
        try await drill.beside({ try await cluster.writePatiently() }) { waiting in
            try await drill.follow(
                hands: [
                    "wait until a write goes through": {
                        try await waiting.value
                        return "the client that had waited through all of it has its answer"
                    },
                    "bring the broker back": { try await cluster.broker.comeBack() },
                ])
        }
        try await drill.check()
    }
}
