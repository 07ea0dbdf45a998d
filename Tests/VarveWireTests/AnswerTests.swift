// What a server answers and a client reads: the same values both ways, and the shapes of the contract.

import Testing
import VarveModel
import VarveWire

private let id = SubmissionID(high: 0x0b8f_0000_0000_0000, low: 1)
private let time = Instant("2026-11-21T10:00:00Z")!
private let position = Position("0-13")!
private let token = Token("0-13-9f2c41d07a6be853")!

private func reread(_ value: Value) throws -> Value { try parseJSON(value.json) }

@Suite struct TransactionAnswerTests {
    @Test func aCommittedTransactionLooksLikeTheContract() throws {
        let answer = TransactionAnswer(
            id: id, .decided(.init(outcome: .committed, position: position, systemTime: time, token: token)))
        #expect(
            answer.json.json == """
                {"id":"0b8f0000000000000000000000000001","status":"committed","position":"0-13",\
                "systemTime":"2026-11-21T10:00:00.000000Z","token":"0-13-9f2c41d07a6be853"}
                """)
        #expect(try TransactionAnswer(json: reread(answer.json)) == answer)
    }

    @Test func anAbortSaysWhichOperationAndWhy() throws {
        let answer = TransactionAnswer(
            id: id,
            .decided(
                .init(
                    outcome: .aborted, position: position, systemTime: time, token: token,
                    failure: .init(code: .assertFailed, operation: 4, detail: "users/ada does not exist"))))
        #expect(answer.json["error"]?.json == #"{"code":"ASSERT_FAILED","op":4,"detail":"users/ada does not exist"}"#)
        #expect(try TransactionAnswer(json: reread(answer.json)) == answer)
    }

    @Test func bothWaysToWriteAnAnswerGiveTheSameText() {
        let failure = TransactionAnswer.Failure(code: .assertFailed, operation: 4, detail: "\"a\"\n")
        for state in [
            TransactionAnswer.State.pending(expiresAt: time),
            .decided(.init(outcome: .committed, position: position, systemTime: time, token: token)),
            .decided(
                .init(outcome: .aborted, position: position, systemTime: time, token: token, failure: failure)),
        ] {
            let answer = TransactionAnswer(id: id, state)
            var writer = JSONWriter()
            answer.write(to: &writer)
            #expect(String(decoding: writer.bytes, as: UTF8.self) == answer.json.json)
        }
    }

    @Test func pendingSaysUntilWhen() throws {
        let answer = TransactionAnswer(id: id, .pending(expiresAt: time))
        #expect(answer.json["status"] == "pending")
        #expect(try TransactionAnswer(json: reread(answer.json)) == answer)
        let list = TransactionsAnswer(transactions: [answer], next: position)
        #expect(try TransactionsAnswer(json: reread(list.json)) == list)
    }

    @Test func anAnswerOfALaterServerIsUnderstood() throws {
        let json = try parseJSON(
            #"{"id":"0b8f0000000000000000000000000001","status":"pending","expiresAt":"2026-11-21T10:00:00Z","mood":1}"#
        )
        #expect(try TransactionAnswer(json: json).status == "pending")
    }

    @Test func anAnswerThatIsNoneIsAnInternalErrorWithItsPlace() throws {
        let json = try parseJSON(#"{"id":"0b8f0000000000000000000000000001","status":"committed","position":13}"#)
        let error = try #require(throws: VarveError.self) { try TransactionAnswer(json: json) }
        #expect(error.code == .internal)
        #expect(error.at == "/position")
    }
}

@Suite struct ProblemTests {
    @Test func aProblemLooksLikeTheContract() {
        let problem = Problem(VarveError(.badRequest, "_id is missing", at: "/ops/0/put/docs/3"))
        #expect(
            problem.json.json == """
                {"title":"Bad request","status":400,"code":"BAD_REQUEST","detail":"_id is missing",\
                "at":"/ops/0/put/docs/3"}
                """)
    }

    @Test func aProblemIsReadBack() throws {
        var error = VarveError(.unknownOutcome, "no answer in time", next: "ask again")
        error.id = id
        error.expiresAt = time
        let problem = Problem(error, line: 7)
        #expect(problem.status == 504)
        #expect(try Problem(json: reread(problem.json)) == problem)
        #expect(problem.error == error)
    }

    @Test(
        arguments: [
            (ErrorCode.badRequest, 400), (.sqlError, 400), (.unauthenticated, 401), (.readOnly, 403), (.notFound, 404),
            (.methodNotAllowed, 405), (.notAcceptable, 406), (.requestTimeout, 408), (.idConflict, 409),
            (.historyToken, 409), (.oversize, 413), (.resultTooLarge, 413), (.unsupportedMediaType, 415),
            (.headersTooLarge, 431), (.internal, 500), (.notReady, 503), (.overloaded, 503), (.logUnreachable, 503),
            (.storageFull, 503), (.divergence, 503), (.logBehind, 503), (.unknownOutcome, 504), (.queryTimeout, 504),
            (.flushTimeout, 504),
        ] as [(ErrorCode, Int)])
    func eachCodeHasTheStatusOfTheContract(_ code: ErrorCode, _ status: Int) {
        #expect(httpStatus(of: code) == status)
    }
}

@Suite struct ReadingTests {
    @Test func aQueryIsReadStrictly() throws {
        let request = try QueryRequest(
            json: try parseJSON(
                """
                {"sql":"SELECT 1","params":[30,{"@type":"binary","@value":"AA=="}],"asOf":"0-12",
                 "after":"0-13-9f2c41d07a6be853","consistency":"applied","timeout":"PT10S"}
                """))
        #expect(request.sql == "SELECT 1")
        guard case .positional(let values) = request.parameters else {
            Issue.record("params are positional")
            return
        }
        #expect(values == [30, .binary([0])])
        #expect(request.read.asOf == .position(try #require(Position("0-12"))))
        #expect(request.read.after == token)
        #expect(request.read.timeout == .seconds(10))
        let again = try QueryRequest(json: reread(request.json))
        #expect(again.read == request.read)
        let named = try QueryRequest(json: try parseJSON(#"{"sql":"","params":{"n":1},"asOf":"2026-11-21T10:00:00Z"}"#))
        #expect(named.read.asOf == .instant(time))
        #expect(named.json["params"] == ["n": 1])
    }

    @Test(arguments: [
        (#"{}"#, "/sql"), (#"{"sql":1}"#, "/sql"), (#"{"sql":"","params":1}"#, "/params"),
        (#"{"sql":"","asOf":"yesterday"}"#, "/asOf"), (#"{"sql":"","after":"x"}"#, "/after"),
        (#"{"sql":"","consistency":"strict"}"#, "/consistency"), (#"{"sql":"","timeout":"PT0S"}"#, "/timeout"),
        (#"{"sql":"","limit":1}"#, "/limit"),
    ])
    func aFaultyQueryIsRefusedWithItsPlace(_ json: String, _ at: String) throws {
        let error = try #require(throws: VarveError.self) { try QueryRequest(json: try parseJSON(json)) }
        #expect(error.code == .badRequest)
        #expect(error.at == at)
    }

    @Test func strictIsNamedAsNotSupported() throws {
        let error = try #require(throws: VarveError.self) {
            try ReadParameters(query: [(name: "consistency", value: "strict")])
        }
        #expect(error.message == "consistency strict is not supported by this version")
    }

    @Test func parametersOfAGetAreThoseOfAQuery() throws {
        let read = ReadParameters(asOf: .instant(time), after: token, timeout: .milliseconds(1500))
        #expect(try ReadParameters(query: read.query) == read)
        #expect(throws: VarveError.self) {
            try ReadParameters(query: [(name: "asOf", value: "0-1"), (name: "asOf", value: "0-2")])
        }
    }

    @Test func aQueryAnswerIsReadBack() throws {
        let answer = QueryAnswer(
            columns: [.init(name: "name", type: "text"), .init(name: "age", type: "integer")],
            rows: [["Ada", 36], [.null, 1.5]],
            end: .init(position: position, token: token, asOf: .zero, elapsedMilliseconds: 0.8123456))
        #expect(answer.json["columns"]?.json == #"[{"name":"name","type":"text"},{"name":"age","type":"integer"}]"#)
        #expect(answer.json["elapsedMs"] == 0.812)
        let again = try QueryAnswer(json: reread(answer.json))
        #expect(again.rows == answer.rows)
        #expect(again.columns == answer.columns)
        #expect(again.end.token == token)
        #expect(again.end.asOf == .zero)
    }

    @Test func aHistoryIsReadBack() throws {
        let answer = HistoryAnswer(versions: [
            .init(version: position, systemFrom: time, systemTo: nil, document: nil),
            .init(version: .zero, systemFrom: time, systemTo: time, document: ["_id": "ada"]),
        ])
        #expect(answer.json["versions"]?.asArray?.first?["deleted"] == true)
        let again = try HistoryAnswer(json: reread(answer.json))
        #expect(again.json == answer.json)
    }
}

@Suite struct OperatingTests {
    @Test func aStatusIsReadBack() throws {
        var status = StatusAnswer(
            node: "node-1", version: "0.1.0", database: "d", state: .ready, epoch: .first,
            log: .init(kind: "kafka", topic: "varve-log-e0", identity: .proved, end: position),
            applied: .init(position: position, systemTime: time, inputChain: "a", effectChain: "b"),
            adopted: .init(block: BlockNumber(3), position: .zero, systemTime: time),
            openBlock: .init(number: BlockNumber(4), transactions: 9, rows: 9, bytes: 1834), frozenBlocks: 1,
            rpo: .init(transactions: 9, seconds: 4.2), lag: .init(records: 0, milliseconds: 3),
            peers: [
                .init(
                    node: "node-2", state: .silent, silentMilliseconds: 42_000, epoch: .first, applied: position,
                    block: BlockNumber(3), version: "0.1.0", address: "http://node-2:8080", error: "STORAGE_FULL"),
                .init(node: "node-3", state: .watching, silentMilliseconds: 0),
            ])
        #expect(try StatusAnswer(json: reread(status.json)) == status)
        status = StatusAnswer(
            node: "n", version: "0.1.0", state: .starting, error: Problem(VarveError(.logUnreachable, "no broker")))
        #expect(status.json["applied"] == .null)
        #expect(try StatusAnswer(json: reread(status.json)) == status)
    }

    @Test func aProblemNamesItsRunbook() throws {
        let problem = Problem(VarveError(.logMissing, "gone"))
        #expect(problem.json["runbook"] == "docs/runbooks/log-lost.md")
        #expect(try Problem(json: reread(problem.json)) == problem)
        #expect(Problem(VarveError(.notFound, "x")).json["runbook"] == nil)
    }

    @Test func blocksEpochsTablesAndFlushAreReadBack() throws {
        let blocks = BlocksAnswer(blocks: [
            .init(
                number: BlockNumber(3), first: .zero, last: position, transactions: 2, rows: 7, bytes: 100,
                cut: "rows", systemTime: Instant(microseconds: 1_700_000_000_000_000), digest: "d",
                files: [.init(table: "t", name: "n", bytes: 1, rows: 7, digest: "e")])
        ])
        #expect(try BlocksAnswer(json: reread(blocks.json)) == blocks)
        let epochs = EpochsAnswer(epochs: [
            .init(epoch: .first, began: "initial", logKind: "kafka", topic: "t", end: nil, unindexedLost: 0),
            .init(epoch: .first, began: "lost", logKind: "local", topic: nil, end: position, unindexedLost: nil),
        ])
        #expect(try EpochsAnswer(json: reread(epochs.json)) == epochs)
        let tables = TablesAnswer(tables: [.init(name: "users", rows: 2, columns: ["_id", "age", "name"])])
        #expect(tables.json.json == #"{"tables":[{"name":"users","rows":2,"columns":["_id","age","name"]}]}"#)
        #expect(try TablesAnswer(json: reread(tables.json)) == tables)
        for block in [BlockNumber(4), nil] {
            let flush = FlushAnswer(block: block, position: position, isNoop: block == nil)
            #expect(try FlushAnswer(json: reread(flush.json)) == flush)
        }
    }
}

@Suite struct RowLoadTests {
    @Test func theIdOfABatchFollowsFromTheLoad() throws {
        let load = try #require(Bytes16(hex: "000102030405060708090a0b0c0d0e0f"))
        // python3: hashlib.sha256(bytes(range(16)) + (7).to_bytes(8, "big")).hexdigest()[:32]
        #expect(batchID(load: load, number: 7).description == "ea315a3e5b0b77655c3ef5f312c80f8f")
        #expect(batchID(load: load, number: 7) != batchID(load: load, number: 8))
    }

    @Test func aLineLooksLikeTheContractAndIsReadBack() throws {
        let line = RowLoadLine.batch(
            .init(
                number: 7, rows: 1000,
                transaction: TransactionAnswer(
                    id: id, .decided(.init(outcome: .committed, position: position, systemTime: time, token: token)))))
        #expect(
            line.json.json == """
                {"batch":7,"id":"0b8f0000000000000000000000000001","rows":1000,"status":"committed","position":"0-13",\
                "systemTime":"2026-11-21T10:00:00.000000Z","token":"0-13-9f2c41d07a6be853"}
                """)
        #expect(try RowLoadLine(json: reread(line.json)) == line)
        let fault = RowLoadLine.fault(Problem(VarveError(.badRequest, "no JSON"), line: 1234))
        #expect(fault.json["error"]?["line"] == 1234)
        #expect(try RowLoadLine(json: reread(fault.json)) == fault)
        // An aborted batch has an error, too, and is no fault.
        let aborted = RowLoadLine.batch(
            .init(
                number: 0, rows: 1,
                transaction: TransactionAnswer(
                    id: id,
                    .decided(
                        .init(
                            outcome: .aborted, position: position, systemTime: time, token: token,
                            failure: .init(code: .conflict, operation: 0, detail: "x"))))))
        #expect(try RowLoadLine(json: reread(aborted.json)) == aborted)
    }

    @Test(arguments: ["batch=0", "batch=100001", "batch=x", "batch=", "batch=+5", "id=", "size=1"])
    func aFaultyOptionIsRefused(_ item: String) throws {
        let parts = item.split(separator: "=", omittingEmptySubsequences: false).map(String.init)
        #expect(throws: VarveError.self) { try RowLoadOptions(query: [(name: parts[0], value: parts[1])]) }
    }

    @Test func optionsAreReadBack() throws {
        let options = RowLoadOptions(batchRows: 5, idField: "Package")
        #expect(try RowLoadOptions(query: options.query) == options)
        #expect(try RowLoadOptions(query: []) == RowLoadOptions(batchRows: 1000))
    }
}

@Suite struct TokenTests {
    @Test(arguments: ["0-13-9f2c41d07a6be853", "0-13-00000000000000ff", "32767-281474976710655"])
    func aTokenIsReadAndPrinted(_ text: String) throws {
        #expect(try #require(Token(text)).description == text)
    }

    @Test(arguments: ["", "0", "0-", "0-13-", "0-13-9f2c", "0-13-9f2c41d07a6be85g", "0-13-9f2c41d07a6be853-1", "-1-2"])
    func whatIsNoTokenIsNone(_ text: String) { #expect(Token(text) == nil) }

    @Test func aPointInThePastIsAPositionOrAnInstant() {
        #expect(AsOf("0-12") == .position(Position("0-12")!))
        #expect(AsOf("2026-11-21T11:00:00+01:00") == .instant(time))
        #expect(AsOf("2026-11-21") == nil)
    }
}
