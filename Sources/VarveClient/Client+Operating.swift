// What an operator asks of a node: where it stands, what storage holds, cut a block.

package import VarveModel
package import VarveWire

extension Client {
    package func status() async throws(VarveError) -> StatusAnswer {
        try StatusAnswer(json: try await get("/v1/status").json())
    }

    package func tables() async throws(VarveError) -> TablesAnswer {
        try TablesAnswer(json: try await get("/v1/tables").json())
    }

    /// Newest first, below `before`.
    package func blocks(limit: Int = BlocksAnswer.limitDefault, before: BlockNumber? = nil)
        async throws(VarveError) -> BlocksAnswer
    {
        var items = [(name: "limit", value: String(limit))]
        if let before { items.append(("before", before.description)) }
        return try BlocksAnswer(json: try await get("/v1/blocks" + queryText(items)).json())
    }

    package func epochs() async throws(VarveError) -> EpochsAnswer {
        try EpochsAnswer(json: try await get("/v1/epochs").json())
    }

    /// Cuts the open block, and answers when the node that was asked has adopted it.
    package func flush(timeout: Duration = .seconds(60)) async throws(VarveError) -> FlushAnswer {
        let target = "/v1/flush" + queryText([("await", "true"), ("timeout", isoText(of: timeout))])
        let call = Call(method: "POST", target: target, timeout: timeout + options.answerTimeout)
        return try FlushAnswer(json: try await ask(call).json())
    }

    /// Moves the log. Not asked twice: whoever gets no answer looks at the epochs first.
    package func migrate(
        _ request: MigrateRequest, timeout: Duration = .seconds(90)
    ) async throws(VarveError) -> MigrateAnswer {
        let call = Call(
            method: "POST", target: "/v1/epochs/migrate" + queryText([("timeout", isoText(of: timeout))]),
            headers: [Call.json], body: request.json.jsonBytes, timeout: timeout + options.answerTimeout)
        return try MigrateAnswer(json: try await ask(call).json())
    }

    package func settings() async throws(VarveError) -> SettingsAnswer {
        try SettingsAnswer(json: try await get("/v1/settings").json())
    }

    /// Changes what every node follows; answers when the node that was asked has read the change back. Sent again it
    /// changes nothing more.
    package func apply(_ request: SettingsRequest) async throws(VarveError) -> SettingsAnswer {
        let call = Call(
            method: "POST", target: "/v1/settings", headers: [Call.json], body: request.json.jsonBytes,
            timeout: .seconds(30) + options.answerTimeout)
        return try SettingsAnswer(json: try await ask(call).json())
    }

    /// Whether the node serves: `nil`, or why not.
    package func readiness() async -> VarveError? {
        do throws(VarveError) {
            _ = try await get("/healthz/ready")
            return nil
        } catch {
            return error
        }
    }
}
