/* Presets and suites; see suites.h. */
#include "train/compare/suites.h"

#include <stddef.h>

const struct preset presets[] = {
    {"classic", "the rules that every framework has had since 2015",
     "sgd,momentum,nesterov,adagrad,adadelta,rmsprop,adam,adamax"},
    {"adaptive", "a learning rate for each parameter, from Adagrad on",
     "adagrad,adadelta,rmsprop,adam,amsgrad,adamax,nadam,adamw,radam,adabelief,yogi,adafactor,lamb"},
    {"2026", "what has come since AdamW, with it and with momentum",
     "momentum,adamw,nadamw,lion,adan,ademamix,adopt,sophia_g,muon,soap,prodigy,schedule_free_adamw"},
    {"all", "every algorithm that works on mini-batches", NULL},
    {0},
};

/* Fewer than six seeds can decide nothing at 5 %. */
const struct suite suites[] = {
    {"quick", "8 optimizers on one small task; under 10 minutes on 2 cores", "fashion-mnist:lenet5@1",
     "sgd,momentum,nesterov,adagrad,rmsprop,adam,adamw,lion", 4, 6},
    {"standard", "10 optimizers on four tasks; under 90 minutes on 2 cores",
     "fashion-mnist:logreg@2 fashion-mnist:mlp@3 fashion-mnist:lenet5@3 fashion-mnist:2c2d:width=0.25@1",
     "sgd,momentum,nesterov,adagrad,rmsprop,adam,nadam,adamw,lamb,lion", 8, 10},
    {0},
};
