//! The paths of a resource type as one tree of property names, so that a resource is walked once for all its parameters.

use super::{
    Class, Kind, Leaf, Parameter, ParameterId,
    path::{Step, items},
};
use sonic_rs::{JsonContainerTrait, Value};

/// What is read of an element, and the properties by which paths go on from it.
#[derive(Debug, Default)]
pub(crate) struct Tree {
    readings: Vec<Reading>,
    /// At most 64, since a set of them is the bits of a `u64`.
    properties: Vec<(&'static str, Vec<Branch>)>,
}

/// Some items of a property, and what is below them.
#[derive(Debug)]
struct Branch {
    step: Step,
    tree: Tree,
}

/// How an element is read, once for all parameters that read it so.
#[derive(Debug)]
pub(crate) struct Reading {
    /// The type of the parameters.
    pub(crate) class: Class,
    /// The type of the element.
    pub(crate) leaf: Leaf,
    /// The paths whose values go into an index, by parameter and path.
    pub(crate) uses: Vec<Use>,
    /// The paths of parameters that another one's index serves.
    pub(crate) aliases: Vec<Use>,
}

/// A parameter's path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Use {
    pub(crate) parameter: ParameterId,
    /// The parameter's place among those of its type.
    pub(crate) bit: u8,
    /// The path's place among the parameter's.
    pub(crate) path: usize,
    /// References to this type only.
    pub(crate) target: Option<Kind>,
}

impl Tree {
    /// The tree of the parameters of one type, which come in the order of their bits.
    pub(super) fn of<'p>(parameters: impl Iterator<Item = &'p Parameter>) -> Self {
        let mut tree = Self::default();
        for parameter in parameters.filter(|parameter| parameter.class != Class::Composite) {
            for (place, path) in parameter.paths.iter().enumerate() {
                let used =
                    Use { parameter: parameter.id, bit: parameter.bit, path: place, target: path.target };
                let reading = tree.at(&path.steps).reading(parameter.class, path.leaf);
                if parameter.alias.is_some() { &mut reading.aliases } else { &mut reading.uses }.push(used);
            }
        }
        tree
    }

    fn at(&mut self, steps: &[Step]) -> &mut Self {
        let Some((step, rest)) = steps.split_first() else { return self };
        let named = |(name, _): &(&str, Vec<Branch>)| *name == step.name;
        let property = place_of(&mut self.properties, named, || (step.name, Vec::new()));
        let new = || Branch { step: step.clone(), tree: Self::default() };
        place_of(&mut property.1, |branch| branch.step == *step, new).tree.at(rest)
    }

    fn reading(&mut self, class: Class, leaf: Leaf) -> &mut Reading {
        let new = || Reading { class, leaf, uses: Vec::new(), aliases: Vec::new() };
        place_of(&mut self.readings, |one| (one.class, one.leaf) == (class, leaf), new)
    }

    /// Calls `found` for each element that a path leads to: for those of one path in the order of the resource.
    pub(crate) fn walk<'a>(&self, value: &'a Value, found: &mut impl FnMut(&Reading, &'a Value)) {
        self.readings.iter().for_each(|reading| found(reading, value));
        if self.properties.is_empty() {
            return;
        }
        let Some(object) = value.as_object() else { return };
        let mut seen = 0_u64;
        for (name, child) in object.iter() {
            let known = self.properties.iter().enumerate().find(|(_, (known, _))| *known == name);
            let Some((place, (_, branches))) = known else { continue };
            // Of a property that stands there twice, the first counts.
            let mark = 1_u64 << place;
            if seen & mark == 0 {
                seen |= mark;
                below(branches, child, found);
            }
        }
    }
}

fn below<'a>(branches: &[Branch], child: &'a Value, found: &mut impl FnMut(&Reading, &'a Value)) {
    for (number, item) in items(child).iter().enumerate() {
        for branch in branches.iter().filter(|branch| branch.step.means(number, item)) {
            branch.tree.walk(item, found);
        }
    }
}

/// The item that `is` the one, made if it is not there.
fn place_of<T>(list: &mut Vec<T>, is: impl Fn(&T) -> bool, new: impl FnOnce() -> T) -> &mut T {
    let found = list.iter().position(is);
    let place = found.unwrap_or(list.len());
    if found.is_none() {
        list.push(new());
    }
    &mut list[place]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::parameters::Parameters;

    fn widest(tree: &Tree) -> usize {
        let below =
            tree.properties.iter().flat_map(|(_, branches)| branches).map(|branch| widest(&branch.tree));
        below.fold(tree.properties.len(), usize::max)
    }

    #[test]
    fn the_properties_of_an_element_fit_their_bits() {
        let parameters = Parameters::r4();
        let trees = parameters.kinds().filter_map(|kind| parameters.tree(kind));
        assert!((20..=64).contains(&trees.map(widest).max().unwrap()));
    }
}
