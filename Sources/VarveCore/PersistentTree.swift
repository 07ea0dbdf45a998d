/// An ordered map whose copies are free: a B+tree that is copied on write, node by node.
///
/// A copy is one reference. Whoever holds one keeps its contents for as long as it likes; the writer goes on and copies
/// only the nodes that someone else still holds. No reader ever waits, no lock is involved.
///
/// Invariants: keys rise strictly within a node and from node to node; all leaves are at the same depth; an inner node's
/// `keys[i]` is a lower bound of the keys below `children[i]`.

package struct PersistentTree<Key: Comparable & Sendable, Value: Sendable>: Sendable {
    private var root = Node()
    package private(set) var count = 0

    /// Most entries of a node: large enough for few levels, small enough to copy.
    fileprivate static var width: Int { 64 }

    package init() {}

    // Mutated only while uniquely referenced: every mutation goes through `isKnownUniquelyReferenced`. That also makes
    // every access exclusive, so none is checked at run time: a check at each step down was a thirtieth of applying.
    fileprivate final class Node: @unchecked Sendable {
        @exclusivity(unchecked) var keys: ContiguousArray<Key> = []
        /// In leaves only.
        @exclusivity(unchecked) var values: ContiguousArray<Value> = []
        /// In inner nodes only.
        @exclusivity(unchecked) var children: ContiguousArray<Node> = []

        var isLeaf: Bool { children.isEmpty }

        func copy() -> Node {
            let node = Node()
            node.keys = keys
            node.values = values
            node.children = children
            return node
        }

        /// Index of the first key that is not below `key`.
        func lowerBound(_ key: Key) -> Int {
            var low = 0
            var high = keys.count
            while low < high {
                let middle = (low + high) / 2
                if keys[middle] < key { low = middle + 1 } else { high = middle }
            }
            return low
        }

        /// Index of the child that holds `key` if any does.
        func childIndex(_ key: Key) -> Int {
            let i = lowerBound(key)
            return i < keys.count && keys[i] == key ? i : max(0, i - 1)
        }
    }

    package subscript(key: Key) -> Value? {
        var node = root
        while !node.isLeaf { node = node.children[node.childIndex(key)] }
        let i = node.lowerBound(key)
        return i < node.keys.count && node.keys[i] == key ? node.values[i] : nil
    }

    /// Hands the value of `key` to `change`, nil when there is none; what it leaves there is stored.
    /// `change` must leave a value: entries are never removed.
    package mutating func update(_ key: Key, _ change: (inout Value?) -> Void) {
        if !isKnownUniquelyReferenced(&root) { root = root.copy() }
        if let sibling = Self.update(&root, key, change, &count) {
            let top = Node()
            top.keys = [root.keys[0], sibling.keys[0]]
            top.children = [root, sibling]
            root = top
        }
    }

    package mutating func set(_ key: Key, _ value: Value) { update(key) { $0 = value } }

    /// Changes below `node`, which is uniquely referenced; returns its new right sibling if it had to be split.
    private static func update(
        _ node: inout Node, _ key: Key, _ change: (inout Value?) -> Void, _ count: inout Int
    ) -> Node? {
        if node.isLeaf {
            let i = node.lowerBound(key)
            if i < node.keys.count && node.keys[i] == key {
                node.values.withUnsafeMutableBufferPointer { values in
                    // Moved out and back in: a copy beside it would make `change` copy what the value holds.
                    let place = values.baseAddress! + i
                    var value: Value? = place.move()
                    change(&value)
                    place.initialize(to: value!)
                }
                return nil
            }
            var value: Value?
            change(&value)
            guard let value else { return nil }
            node.keys.insert(key, at: i)
            node.values.insert(value, at: i)
            count += 1
            return node.keys.count > width ? split(node, atEnd: i == node.keys.count - 1) : nil
        }
        let i = node.childIndex(key)
        // Only before the first child: its bound must stay a lower one, or a later split would break the order.
        if key < node.keys[i] { node.keys[i] = key }
        if !isKnownUniquelyReferenced(&node.children[i]) { node.children[i] = node.children[i].copy() }
        guard let sibling = update(&node.children[i], key, change, &count) else { return nil }
        node.keys.insert(sibling.keys[0], at: i + 1)
        node.children.insert(sibling, at: i + 1)
        return node.keys.count > width ? split(node, atEnd: i + 1 == node.keys.count - 1) : nil
    }

    /// Moves the upper half away; after an insertion at the very end only the last entry, so rising keys fill nodes.
    private static func split(_ node: Node, atEnd: Bool) -> Node {
        let at = atEnd ? node.keys.count - 1 : node.keys.count / 2
        let sibling = Node()
        sibling.keys = ContiguousArray(node.keys[at...])
        node.keys.removeSubrange(at...)
        if node.isLeaf {
            sibling.values = ContiguousArray(node.values[at...])
            node.values.removeSubrange(at...)
        } else {
            sibling.children = ContiguousArray(node.children[at...])
            node.children.removeSubrange(at...)
        }
        return sibling
    }

    /// Entries in key order, from the first whose key is not below `start`.
    package func cursor(from start: Key? = nil) -> Cursor { Cursor(root, start) }

    /// A position in the order; holds the tree it was made from.
    package struct Cursor: Sendable {
        private var path: [(node: Node, index: Int)] = []

        fileprivate init(_ root: Node, _ start: Key?) {
            var node = root
            while true {
                if node.isLeaf {
                    path.append((node, start.map { node.lowerBound($0) } ?? 0))
                    break
                }
                let i = start.map { node.childIndex($0) } ?? 0
                path.append((node, i))
                node = node.children[i]
            }
            settle()
        }

        /// Leaves the cursor on an entry, or with an empty path at the end.
        private mutating func settle() {
            while let last = path.last, last.index >= last.node.keys.count {
                path.removeLast()
                guard !path.isEmpty else { return }
                path[path.count - 1].index += 1
                let (node, index) = path[path.count - 1]
                if index < node.keys.count {
                    var below = node.children[index]
                    while true {
                        path.append((below, 0))
                        if below.isLeaf { break }
                        below = below.children[0]
                    }
                }
            }
        }

        package var current: (key: Key, value: Value)? {
            guard let (node, index) = path.last else { return nil }
            return (node.keys[index], node.values[index])
        }

        package mutating func advance() {
            guard !path.isEmpty else { return }
            path[path.count - 1].index += 1
            settle()
        }
    }

    package func forEach(_ body: (Key, Value) throws -> Void) rethrows { try Self.forEach(root, body) }

    private static func forEach(_ node: Node, _ body: (Key, Value) throws -> Void) rethrows {
        if node.isLeaf {
            for i in node.keys.indices { try body(node.keys[i], node.values[i]) }
        } else {
            for child in node.children { try forEach(child, body) }
        }
    }

    /// The entry with the greatest key.
    package var last: (key: Key, value: Value)? {
        var node = root
        while !node.isLeaf { node = node.children[node.children.count - 1] }
        guard let key = node.keys.last, let value = node.values.last else { return nil }
        return (key, value)
    }
}
