/// `POST /v1/epochs/migrate`: end the epoch and go on in another log.

package import VarveModel

package struct MigrateRequest: Sendable, Equatable {
    /// The new log's name without its epoch; nil keeps the present one.
    package var topic: String?
    /// A name in the nodes' section `clusters`; nil stays on the present one.
    package var cluster: String?
    /// Only look.
    package var isRehearsal: Bool

    package init(topic: String? = nil, cluster: String? = nil, isRehearsal: Bool = false) {
        self.topic = topic
        self.cluster = cluster
        self.isRehearsal = isRehearsal
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .request)
        topic = try fields.optionalText("topic")
        cluster = try fields.optionalText("cluster")
        isRehearsal = try fields.optionalBool("dryRun") ?? false
        try fields.finish()
    }

    package var json: Value {
        .fields([
            "topic": topic.map { .text($0) }, "cluster": cluster.map { .text($0) },
            "dryRun": isRehearsal ? .bool(true) : nil,
        ])
    }
}

package struct MigrateAnswer: Sendable, Equatable {
    /// The new one.
    package var epoch: Epoch
    package var logKind: String
    package var topic: String?
    /// Where the old one ended; nil for a rehearsal.
    package var seal: Position?

    package init(epoch: Epoch, logKind: String, topic: String?, seal: Position?) {
        self.epoch = epoch
        self.logKind = logKind
        self.topic = topic
        self.seal = seal
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        epoch = try fields.required("epoch", "an epoch") { $0.asCount.flatMap { Epoch($0) } }
        seal = try fields.optionalPosition("seal")
        var log = try fields.object("log")
        logKind = try log.text("kind")
        topic = try log.optionalText("topic")
    }

    package var json: Value {
        .fields([
            "epoch": .count(Int(epoch.number)), "seal": seal.map { .text(of: $0) } ?? .null,
            "log": .fields(["kind": .text(logKind), "topic": topic.map { .text($0) }]),
        ])
    }
}
