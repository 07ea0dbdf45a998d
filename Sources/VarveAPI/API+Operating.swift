/// What an operator asks: status, blocks, epochs, health, and to cut a block now.

import VarveCore
import VarveHTTPServer
import VarveIndexing
import VarveModel
import VarveNode
import VarveStorage
import VarveWire

extension API {
    func status() -> StatusAnswer {
        let status = node.status()
        var answer = StatusAnswer(
            node: status.node, version: status.version, database: status.database?.uuidText,
            state: StatusAnswer.State(rawValue: status.state.rawValue) ?? .starting,
            error: status.error.map { Problem($0) }, warnings: status.warnings, epoch: status.epoch)
        answer.peers = node.peers().map { peer in
            let said = peer.heartbeat
            return StatusAnswer.Peer(
                node: peer.node, state: StatusAnswer.Peer.State(rawValue: peer.state.rawValue) ?? .watching,
                silentMilliseconds: Int(clamping: peer.unchangedMs), epoch: said?.epoch, applied: said?.applied,
                block: said?.adopted?.number, version: said?.version, address: said?.address, error: said?.troubleCode)
        }
        guard let standing = status.standing else { return answer }
        let position = standing.token.position
        if let log = status.log {
            answer.log = StatusAnswer.Log(
                kind: log.kind.description, topic: log.kind == .kafka ? log.topic : nil,
                identity: status.identity == nil ? .notCheckable : .proved,
                end: Position(position.epoch, standing.logEnd))
        }
        answer.applied = StatusAnswer.Applied(
            position: position,
            systemTime: standing.counters.outcomes.contains { $0 > 0 } || standing.adopted != nil
                ? standing.systemTime : nil,
            inputChain: standing.inputChain.shortHex, effectChain: String(standing.effectChain.description.prefix(16)))
        answer.adopted = standing.adopted.map {
            StatusAnswer.Adopted(block: $0.number, position: $0.position, systemTime: $0.systemTime)
        }
        answer.openBlock = StatusAnswer.OpenBlock(
            number: standing.openNumber, transactions: Int(clamping: standing.openCounts.transactions),
            rows: Int(clamping: standing.openCounts.rows), bytes: Int(clamping: standing.openCounts.bytes))
        answer.frozenBlocks = standing.frozen
        answer.rpo = StatusAnswer.RPO(
            transactions: Int(clamping: standing.openCounts.transactions + standing.frozenCounts.transactions),
            seconds: standing.openSince?.seconds ?? 0)
        let records = Int(clamping: standing.lagRecords)
        answer.lag = StatusAnswer.Lag(
            records: records, milliseconds: records == 0 ? 0 : Int(standing.sinceLastRecord.seconds * 1000))
        return answer
    }

    func blocks(_ parameters: Parameters) throws(VarveError) -> Response {
        let limit = try parameters.integer("limit", 1...BlocksAnswer.limitMax) ?? BlocksAnswer.limitDefault
        let before = try parameters.integer("before", 0...Int.max).map { BlockNumber(UInt64($0)) }
        let blocks = try node.blocks(limit: limit, before: before).map { stored in
            let manifest = stored.manifest
            let files = manifest.tables.flatMap { table in
                table.files.map {
                    BlocksAnswer.File(
                        table: table.name.text, name: $0.name, bytes: Int(clamping: $0.size),
                        rows: Int(clamping: $0.rows), digest: $0.digest.description)
                }
            }
            return BlocksAnswer.Block(
                number: manifest.number, first: manifest.first, last: manifest.last,
                transactions: Int(clamping: manifest.counts.transactions), rows: Int(clamping: manifest.counts.rows),
                bytes: Int(clamping: manifest.counts.bytes), cut: manifest.cut.description,
                systemTime: manifest.systemTime, digest: stored.digest.description, files: files)
        }
        return .json(BlocksAnswer(blocks: blocks).json)
    }

    func epochs() throws(VarveError) -> Response {
        let epochs = try node.epochs().map { info in
            let log = info.record.log
            return EpochsAnswer.Entry(
                epoch: info.record.epoch, began: info.record.began.description, logKind: log.kind.description,
                topic: log.kind == .kafka ? log.topic : nil, end: info.end,
                unindexedLost: info.end == nil ? 0 : info.unindexedLost)
        }
        return .json(EpochsAnswer(epochs: epochs).json)
    }

    func migrate(_ exchange: Exchange, _ parameters: Parameters) async throws(VarveError) -> Response {
        let timeout = try parameters.timeout() ?? .seconds(60)
        let body: Value
        do throws(JSONFault) {
            body = try parseJSON(Bytes(exchange.body))
        } catch {
            throw error.error
        }
        let request = try MigrateRequest(json: body)
        let done = try await node.migrate(
            topic: request.topic, cluster: request.cluster, isRehearsal: request.isRehearsal, timeout: timeout)
        return .json(
            MigrateAnswer(
                epoch: done.epoch, logKind: done.log.kind.description,
                topic: done.log.kind == .kafka ? done.log.topic : nil, seal: done.seal
            ).json)
    }

    func flush(_ parameters: Parameters) async throws(VarveError) -> Response {
        let waits = try parameters.flag("await")
        let timeout = try parameters.timeout() ?? .seconds(30)
        let result = try await node.flush(awaitAdoption: waits, timeout: timeout)
        let answer = FlushAnswer(block: result.block, position: result.position, isNoop: result.isNoop)
        return .json(status: waits ? 200 : 202, answer.json)
    }

    func settings() throws(VarveError) -> Response {
        let found = try node.settings()
        return .json(
            SettingsAnswer(settings: found.inForce, configured: found.configured, position: found.position).json)
    }

    func applySettings(_ exchange: Exchange, _ parameters: Parameters) async throws(VarveError) -> Response {
        let timeout = try parameters.timeout() ?? .seconds(30)
        let body: Value
        do throws(JSONFault) {
            body = try parseJSON(Bytes(exchange.body))
        } catch {
            throw error.error
        }
        let request = try SettingsRequest(json: body)
        let before = try node.settings().inForce
        let wanted = request.applied(to: before)
        let found = try await node.apply(wanted, timeout: timeout)
        return .json(
            SettingsAnswer(
                settings: found.inForce, configured: found.configured, position: found.position,
                isChanged: wanted != before
            ).json)
    }

    /// Answered on the server's thread, also when no handler is free.
    func health(_ route: Route) -> Response {
        let health = node.health()
        let isWell =
            switch route {
            case .started: health.isStarted
            case .alive: health.isAlive
            default: health.isReady
            }
        guard isWell else {
            return .problem(health.error ?? VarveError(.notReady, "this node is starting", next: "retry later"))
        }
        return .json(Value.object([Value.Field("status", "ok")]))
    }
}
