import Testing
import VarveIO
import VarveLog
import VarveModel
import VarveTestSupport

@Suite struct ContractTests {
    @Test(arguments: LogContract.checks)
    func `the in-memory log keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run { LogSubject(provider: MemoryLogProvider(), isExclusive: false) }
    }

    @Test(arguments: LogContract.checks)
    func `the local log keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run {
            let scratch = try Scratch()
            return LogSubject(provider: LocalLogProvider(path: scratch.path + "/log"), isExclusive: true) {
                scratch.remove()
            }
        }
    }

    /// Small segments and buffers: every check crosses many files and commits.
    @Test(arguments: LogContract.checks)
    func `a local log of tiny segments keeps the contract`(_ check: LogContract.Check) async throws {
        try await check.run {
            let scratch = try Scratch()
            let provider = LocalLogProvider(path: scratch.path, bufferSize: 7, segmentBytes: 1000)
            return LogSubject(provider: provider, isExclusive: true) { scratch.remove() }
        }
    }
}
