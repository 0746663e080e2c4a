"""x y z."""
from civilly.train.finetuning import tuning_pairs
from civilly.train.recipe import ValidationSettings
def fixed_pairs(corpus, data, s):
    return tuning_pairs(corpus, data, ValidationSettings(pairs=s.texts, longest_characters=s.longest_characters))
