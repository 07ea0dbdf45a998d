/// A log under test: a fresh, empty place and what its kind promises.

package import VarveLog
package import VarveModel

package struct LogSubject: Sendable {
    package let provider: any LogProvider
    /// Epochs that do not exist yet.
    package let epoch: Epoch
    package let otherEpoch: Epoch
    /// One handle at a time: a second one is `LOG_LOCKED`.
    package let isExclusive: Bool
    /// Whether `probe` can tell that an epoch is missing and `create` makes it (an embedded broker makes every topic).
    package let createsEpochs: Bool
    /// Most bytes of records that a check may have in the log (an embedded broker keeps some megabytes).
    package let bytesMax: Int
    /// Refuses and loses reports at random, as the contract allows.
    package let isFaulty: Bool
    /// For the report of `make test`: what was held to the contract.
    package let name: String
    package let remove: @Sendable () async -> Void

    package init(
        _ name: String, provider: any LogProvider, epoch: Epoch = .first, otherEpoch: Epoch? = nil, isExclusive: Bool,
        createsEpochs: Bool = true, bytesMax: Int = 64 << 20, isFaulty: Bool = false,
        remove: @escaping @Sendable () async -> Void = {}
    ) {
        self.name = name
        self.provider = provider
        self.epoch = epoch
        self.otherEpoch = otherEpoch ?? epoch.next ?? epoch
        self.isExclusive = isExclusive
        self.createsEpochs = createsEpochs
        self.bytesMax = bytesMax
        self.isFaulty = isFaulty
        self.remove = remove
    }
}

/// A sentence of a contract that does not hold.
package struct ContractViolation: Error, CustomStringConvertible {
    package let description: String
}

func require(_ condition: Bool, _ what: @autoclosure () -> String) throws(ContractViolation) {
    if !condition { throw ContractViolation(description: what()) }
}

func requireEqual<T: Equatable>(_ found: T, _ expected: T, _ what: @autoclosure () -> String) throws(ContractViolation)
{
    if found != expected { throw ContractViolation(description: "\(what()): found \(found), expected \(expected)") }
}

/// What `body` gives; nil once the log was closed meanwhile.
func unlessClosed<R>(_ body: () async throws -> R) async throws -> R? {
    do { return try await body() } catch let error as VarveError where error.code == .notReady { return nil }
}

func requireError<R>(_ code: ErrorCode, _ what: String, _ body: () async throws -> R) async throws {
    do {
        let result = try await body()
        throw ContractViolation(description: "\(what): no \(code), but \(result)")
    } catch let error as VarveError {
        try requireEqual(error.code, code, what)
    }
}
