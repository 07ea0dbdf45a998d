import Testing
import VarveModel

@testable import VarveQuery

@Suite struct QueryRunTests {
    private func source(rows: Int64) throws -> MemorySource {
        try MemorySource(["t": (0..<rows).map { ["_id": .integer($0), "v": .text("value \($0)")] }])
    }

    @Test func `more queries than threads all end`() async throws {
        let source = try source(rows: 2000)
        let totals = try await withThrowingTaskGroup(of: Int.self) { group in
            for n in 0..<64 {
                group.addTask {
                    try await ask(
                        source, "SELECT v FROM t WHERE _id >= ?", .positional([.integer(Int64(n))]), format: .values
                    )
                    .rows.count
                }
            }
            return try await group.reduce(into: []) { $0.append($1) }
        }
        #expect(totals.sorted() == (0..<64).map { 2000 - $0 }.sorted())
    }

    @Test func `a slow reader holds no thread`() async throws {
        let source = try source(rows: 5000)
        let single = QueryEngine(threadsMax: 1)
        let request = QueryRequest(sql: "SELECT v FROM t", deadline: .now + .seconds(60))
        // Neither is read to its end while the other is asked.
        let first = try await single.start(request, on: source)
        let second = try await single.start(request, on: source)
        var rows = [0, 0]
        while let batch = try await first.nextBatch() {
            rows[0] += batch.rowCount
            if let other = try await second.nextBatch() { rows[1] += other.rowCount }
        }
        #expect(rows == [5000, 5000])
    }

    @Test func `a run that is dropped, finished or failed gives its source back`() async throws {
        weak var source: MemorySource?
        do {
            let own = try self.source(rows: 5000)
            source = own
            let request = QueryRequest(sql: "SELECT v FROM t", deadline: .now + .seconds(60))
            let dropped = try await engine.start(request, on: own)
            _ = try await dropped.nextBatch()
            _ = try await ask(own, "SELECT count(*) FROM t a JOIN t b ON a.v = b.v")
            _ = await failure(own, "SELECT json(v) FROM t")
        }
        // The thread that ran the last of them lets go a moment after it has answered.
        for _ in 0..<1000 where source != nil { try await Task.sleep(for: .milliseconds(1)) }
        #expect(source == nil)
    }
}
