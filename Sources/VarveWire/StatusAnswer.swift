/// `GET /v1/status`: where a node stands. What a node does not know yet is null.

package import VarveModel

package struct StatusAnswer: Sendable, Equatable {
    package enum State: String, Sendable { case starting, ready, degraded, stopped }

    package struct Log: Sendable, Equatable {
        package enum Identity: String, Sendable { case proved, notCheckable, refuted }

        package var kind: String
        package var topic: String?
        package var identity: Identity
        /// The next position the log will give.
        package var end: Position?

        package init(kind: String, topic: String?, identity: Identity, end: Position?) {
            self.kind = kind
            self.topic = topic
            self.identity = identity
            self.end = end
        }
    }

    package struct Applied: Sendable, Equatable {
        package var position: Position
        /// nil before the first transaction.
        package var systemTime: Instant?
        /// 16 hexadecimal digits each.
        package var inputChain: String
        package var effectChain: String

        package init(position: Position, systemTime: Instant?, inputChain: String, effectChain: String) {
            self.position = position
            self.systemTime = systemTime
            self.inputChain = inputChain
            self.effectChain = effectChain
        }
    }

    package struct Adopted: Sendable, Equatable {
        package var block: BlockNumber
        package var position: Position
        package var systemTime: Instant?

        package init(block: BlockNumber, position: Position, systemTime: Instant?) {
            self.block = block
            self.position = position
            self.systemTime = systemTime
        }
    }

    package struct OpenBlock: Sendable, Equatable {
        package var number: BlockNumber
        package var transactions: Int
        package var rows: Int
        package var bytes: Int

        package init(number: BlockNumber, transactions: Int, rows: Int, bytes: Int) {
            self.number = number
            self.transactions = transactions
            self.rows = rows
            self.bytes = bytes
        }
    }

    /// What a lost log would cost now.
    package struct RPO: Sendable, Equatable {
        package var transactions: Int
        package var seconds: Double

        package init(transactions: Int, seconds: Double) {
            self.transactions = transactions
            self.seconds = seconds
        }
    }

    package struct Lag: Sendable, Equatable {
        package var records: Int
        package var milliseconds: Int

        package init(records: Int, milliseconds: Int) {
            self.records = records
            self.milliseconds = milliseconds
        }
    }

    /// Another node, as this one sees it by its file in storage.
    package struct Peer: Sendable, Equatable {
        package enum State: String, Sendable { case watching, live, silent, stopped }

        package var node: String
        package var state: State
        /// Since its file was last seen to change.
        package var silentMilliseconds: Int
        /// What it last said; nil while its file could not be read.
        package var epoch: Epoch?
        package var applied: Position?
        package var block: BlockNumber?
        package var version: String?
        /// Where it answers HTTP.
        package var address: String?
        /// Its error code, when it is degraded or has stopped.
        package var error: String?

        package init(
            node: String, state: State, silentMilliseconds: Int, epoch: Epoch? = nil, applied: Position? = nil,
            block: BlockNumber? = nil, version: String? = nil, address: String? = nil, error: String? = nil
        ) {
            self.node = node
            self.state = state
            self.silentMilliseconds = silentMilliseconds
            self.epoch = epoch
            self.applied = applied
            self.block = block
            self.version = version
            self.address = address
            self.error = error
        }
    }

    package var node: String
    package var version: String
    package var database: String?
    package var state: State
    /// Why the node waits, is degraded, or has stopped.
    package var error: Problem?
    /// What the operator should know and nothing refuses.
    package var warnings: [String]
    package var epoch: Epoch?
    package var log: Log?
    package var applied: Applied?
    package var adopted: Adopted?
    package var openBlock: OpenBlock?
    package var frozenBlocks: Int
    package var rpo: RPO?
    package var lag: Lag?
    package var peers: [Peer]

    package init(
        node: String, version: String, database: String? = nil, state: State, error: Problem? = nil,
        warnings: [String] = [], epoch: Epoch? = nil, log: Log? = nil, applied: Applied? = nil, adopted: Adopted? = nil,
        openBlock: OpenBlock? = nil, frozenBlocks: Int = 0, rpo: RPO? = nil, lag: Lag? = nil,
        peers: [Peer] = []
    ) {
        self.node = node
        self.version = version
        self.database = database
        self.state = state
        self.error = error
        self.warnings = warnings
        self.epoch = epoch
        self.log = log
        self.applied = applied
        self.adopted = adopted
        self.openBlock = openBlock
        self.frozenBlocks = frozenBlocks
        self.rpo = rpo
        self.lag = lag
        self.peers = peers
    }
}

extension StatusAnswer {
    package var json: Value {
        .fields([
            "node": .text(node), "version": .text(version), "database": database.map { .text($0) } ?? .null,
            "state": .text(state.rawValue), "error": error?.json ?? .null,
            "warnings": .array(warnings.map { .text($0) }), "epoch": epoch.map { .count(Int($0.number)) } ?? .null,
            "log": log?.json ?? .null,
            "applied": applied?.json ?? .null, "adopted": adopted?.json ?? .null, "openBlock": openBlock?.json ?? .null,
            "frozenBlocks": .count(frozenBlocks), "rpo": rpo?.json ?? .null, "lag": lag?.json ?? .null,
            "peers": .array(peers.map(\.json)),
        ])
    }

    package init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        self.init(
            node: try fields.text("node"), version: try fields.text("version"),
            database: try fields.optionalText("database"),
            state: try fields.required("state", "a state") { $0.asText.flatMap { State(rawValue: $0) } },
            frozenBlocks: try fields.optionalCount("frozenBlocks") ?? 0)
        if let value = fields.value("error") { error = try Problem(json: value) }
        warnings = fields.value("warnings")?.asArray?.compactMap(\.asText) ?? []
        epoch = try fields.optional("epoch", "an epoch") { $0.asCount.flatMap { Epoch($0) } }
        if var log = try fields.optionalObject("log") {
            self.log = Log(
                kind: try log.text("kind"), topic: try log.optionalText("topic"),
                identity: try log.required("identity", "an identity") {
                    $0.asText.flatMap { Log.Identity(rawValue: $0) }
                },
                end: try log.optionalPosition("end"))
        }
        if var applied = try fields.optionalObject("applied") {
            self.applied = Applied(
                position: try applied.position("position"), systemTime: try applied.optionalInstant("systemTime"),
                inputChain: try applied.text("inputChain"), effectChain: try applied.text("effectChain"))
        }
        if var adopted = try fields.optionalObject("adopted") {
            self.adopted = Adopted(
                block: BlockNumber(UInt64(try adopted.count("block"))), position: try adopted.position("position"),
                systemTime: try adopted.optionalInstant("systemTime"))
        }
        if var open = try fields.optionalObject("openBlock") {
            openBlock = OpenBlock(
                number: BlockNumber(UInt64(try open.count("number"))), transactions: try open.count("transactions"),
                rows: try open.count("rows"), bytes: try open.count("bytes"))
        }
        if var rpo = try fields.optionalObject("rpo") {
            self.rpo = RPO(transactions: try rpo.count("transactions"), seconds: try rpo.number("seconds"))
        }
        if var lag = try fields.optionalObject("lag") {
            self.lag = Lag(records: try lag.count("records"), milliseconds: try lag.count("ms"))
        }
        for value in fields.value("peers")?.asArray ?? [] { peers.append(try Peer(json: value)) }
    }
}

extension StatusAnswer.Log {
    var json: Value {
        .fields([
            "kind": .text(kind), "topic": topic.map { .text($0) }, "identity": .text(identity.rawValue),
            "end": end.map { .text(of: $0) } ?? .null,
        ])
    }
}

extension StatusAnswer.Applied {
    var json: Value {
        .fields([
            "position": .text(of: position), "systemTime": systemTime.map { .text(of: $0) } ?? .null,
            "inputChain": .text(inputChain), "effectChain": .text(effectChain),
        ])
    }
}

extension StatusAnswer.Adopted {
    var json: Value {
        .fields([
            "block": .integer(Int64(block.value)), "position": .text(of: position),
            "systemTime": systemTime.map { .text(of: $0) } ?? .null,
        ])
    }
}

extension StatusAnswer.OpenBlock {
    var json: Value {
        .fields([
            "number": .integer(Int64(number.value)), "transactions": .count(transactions), "rows": .count(rows),
            "bytes": .count(bytes),
        ])
    }
}

extension StatusAnswer.RPO {
    var json: Value { .fields(["transactions": .count(transactions), "seconds": .double(seconds)]) }
}

extension StatusAnswer.Lag {
    var json: Value { .fields(["records": .count(records), "ms": .count(milliseconds)]) }
}

extension StatusAnswer.Peer {
    var json: Value {
        .fields([
            "node": .text(node), "state": .text(state.rawValue), "silentMs": .count(silentMilliseconds),
            "epoch": epoch.map { .count(Int($0.number)) } ?? .null, "applied": applied.map { .text(of: $0) } ?? .null,
            "block": block.map { .integer(Int64($0.value)) } ?? .null, "version": version.map { .text($0) } ?? .null,
            "address": address.map { .text($0) } ?? .null, "error": error.map { .text($0) } ?? .null,
        ])
    }

    init(json: Value) throws(VarveError) {
        var fields = try WireFields(json, .answer)
        self.init(
            node: try fields.text("node"),
            state: try fields.required("state", "a state of a peer") {
                $0.asText.flatMap { StatusAnswer.Peer.State(rawValue: $0) }
            },
            silentMilliseconds: try fields.count("silentMs"),
            epoch: try fields.optional("epoch", "an epoch") { $0.asCount.flatMap { Epoch($0) } },
            applied: try fields.optionalPosition("applied"),
            block: try fields.optionalCount("block").map { BlockNumber(UInt64($0)) },
            version: try fields.optionalText("version"), address: try fields.optionalText("address"),
            error: try fields.optionalText("error"))
    }
}
