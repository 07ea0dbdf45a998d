/// What proves that a node computed another block than the one in storage, for whoever keeps it.

package import VarveModel

package struct DivergenceEvidence: Sendable {
    package let node: String
    package let error: VarveError
    /// The block as this node computed it: predecessor and files are missing.
    package let own: Manifest
    /// What stands in storage, when it could be read.
    package let published: Manifest?
    /// Where the node stood.
    package let token: Token

    package init(node: String, error: VarveError, own: Manifest, published: Manifest?, token: Token) {
        self.node = node
        self.error = error
        self.own = own
        self.published = published
        self.token = token
    }
}
