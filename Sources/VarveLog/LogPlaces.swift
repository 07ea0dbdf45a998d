/// Every place that a configuration names for logs: where its own are, and other clusters that epochs may move to.

public import VarveModel

public struct LogPlaces: Sendable {
    public let primary: any LogProvider
    /// By the name that the configuration gives them; a seal names one of these.
    public let clusters: [String: any LogProvider]

    public init(_ primary: any LogProvider, clusters: [String: any LogProvider] = [:]) {
        self.primary = primary
        self.clusters = clusters
    }

    /// The provider whose log of `epoch` is the one that `reference` names; nil when no configured connection leads there.
    /// Throws `LOG_UNREACHABLE` when one that may lead there does not answer.
    public func provider(
        for reference: LogReference, of epoch: Epoch
    ) async throws(VarveError) -> (any LogProvider)? {
        var unreachable: VarveError?
        for candidate in candidates(reference.cluster) {
            do throws(VarveError) {
                let own = try await candidate.reference(epoch)
                guard own.kind == reference.kind, own.clusterID == reference.clusterID else { continue }
                if own.topic == reference.topic { return candidate }
                let ending = "-e\(epoch)"
                guard reference.kind == .kafka, reference.topic.hasSuffix(ending) else { continue }
                return candidate.named(String(reference.topic.dropLast(ending.utf8.count)))
            } catch {
                guard error.code == .logUnreachable else { throw error }
                unreachable = error
            }
        }
        if let unreachable { throw unreachable }
        return nil
    }

    /// The named one first; a local log has no id that would tell two of them apart.
    private func candidates(_ name: String?) -> [any LogProvider] {
        if let name, let named = clusters[name] { return [named] }
        return [primary] + clusters.keys.sorted().compactMap { clusters[$0] }
    }
}
